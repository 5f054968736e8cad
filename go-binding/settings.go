package torrent

import (
	"iter"

	"elementum.example/torrent/internal/capi"
)

// Settings are settings by name: libtorrent's names where it has the setting. Values are int, int32, int64, uint32, bool or string, as
// [DescribeSettings] tells.
type Settings map[string]any

// A SettingInfo is what is known of one setting.
type SettingInfo struct {
	Name string
	// One line: what it does, the unit.
	Doc string
	// The default: an int64, a bool or a string.
	Default any
	// An integer's least and greatest value.
	Min, Max int64
	// It can be changed while a session runs, by Session.ApplySettings.
	Live bool
	// False: accepted for programs written for libtorrent, and does nothing.
	Effective bool
}

// DescribeSettings tells of every setting, those that do something first.
func DescribeSettings() iter.Seq[SettingInfo] {
	return func(yield func(SettingInfo) bool) {
		for i := range capi.SettingsCount() {
			var raw capi.SettingInfo
			if capi.DescribeSetting(i, &raw) != nil {
				return
			}
			info := SettingInfo{
				Name:      capi.CString(raw.Name[:]),
				Doc:       capi.CString(raw.Doc[:]),
				Live:      raw.Live != 0,
				Effective: raw.Effective != 0,
			}
			switch raw.Type {
			case capi.SettingBool:
				info.Default = raw.Default_int != 0
			case capi.SettingStr:
				info.Default = capi.CString(raw.Default_str[:])
			default:
				info.Default, info.Min, info.Max = raw.Default_int, raw.Min, raw.Max
			}
			if !yield(info) {
				return
			}
		}
	}
}

// put enters them into a set of the library's.
func (s Settings) put(op string, into *capi.Settings) error {
	for name, value := range s {
		var err *capi.Error
		switch value := value.(type) {
		case bool:
			err = into.SetBool(name, value)
		case string:
			err = into.SetString(name, value)
		case int:
			err = into.SetInt(name, int64(value))
		case int64:
			err = into.SetInt(name, value)
		case int32:
			err = into.SetInt(name, int64(value))
		case uint32:
			err = into.SetInt(name, int64(value))
		case AlertCategories:
			err = into.SetInt(name, int64(value))
		default:
			return invalid(op, "setting %s: a %T is none of int, int32, int64, uint32, bool, string", name, value)
		}
		if err != nil {
			return wrap(op, err)
		}
	}
	return nil
}

// settingsOf reads all that does something.
func settingsOf(op string, from *capi.Settings) (Settings, error) {
	all := Settings{}
	for info := range DescribeSettings() {
		if !info.Effective {
			continue
		}
		var value any
		var err *capi.Error
		switch info.Default.(type) {
		case bool:
			value, err = from.Bool(info.Name)
		case string:
			value, err = from.String(info.Name)
		default:
			value, err = from.Int(info.Name)
		}
		if err != nil {
			return nil, wrap(op, err)
		}
		all[info.Name] = value
	}
	return all, nil
}
