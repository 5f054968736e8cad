//go:build cgo

package capi

/*
#cgo nocallback et_abi_version
#cgo noescape et_alert_message
#cgo nocallback et_alert_message
#cgo noescape et_alert_messages
#cgo nocallback et_alert_messages
#cgo noescape et_session_pop_alerts
#cgo nocallback et_session_pop_alerts
#cgo noescape et_session_stats
#cgo nocallback et_session_stats
#include <elementum_torrent.h>
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Available tells whether the library is linked.
const Available = true

// A header of another layout than types.go was made of does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(TorrentStatusInfo{})-C.sizeof_et_torrent_status_info]
	_ = [1]struct{}{}[unsafe.Sizeof(SessionStatsInfo{})-C.sizeof_et_session_stats_info]
	_ = [1]struct{}{}[unsafe.Sizeof(StorageStatsInfo{})-C.sizeof_et_storage_stats_info]
	_ = [1]struct{}{}[unsafe.Sizeof(ReaderStatusInfo{})-C.sizeof_et_reader_status_info]
	_ = [1]struct{}{}[unsafe.Sizeof(ReaderOptions{})-C.sizeof_et_reader_options]
	_ = [1]struct{}{}[unsafe.Sizeof(SettingInfo{})-C.sizeof_et_setting_info]
	_ = [1]struct{}{}[unsafe.Sizeof(PeerInfo{})-C.sizeof_et_peer_info]
	_ = [1]struct{}{}[unsafe.Sizeof(FileInfo{})-C.sizeof_et_file_info]
	_ = [1]struct{}{}[unsafe.Sizeof(PeerDisconnectedAlert{})-C.sizeof_et_peer_disconnected_alert]
)

func newError() C.et_error { return C.et_error{struct_size: C.sizeof_et_error} }

// failure is nil for ET_OK.
func failure(status C.et_status, e *C.et_error) *Error {
	if status == C.ET_OK {
		return nil
	}
	return describe(int32(status), e)
}

func describe(status int32, e *C.et_error) *Error {
	return &Error{
		Status:    status,
		OSError:   int32(e.os_error),
		Operation: int32(e.operation),
		Message:   CString((*[C.ET_ERROR_MESSAGE_SIZE]int8)(unsafe.Pointer(&e.message))[:]),
	}
}

// chars is a string's bytes as C takes them. They are Go's memory, for one call.
func chars(s string) (*C.char, C.size_t) {
	if s == "" {
		return nil, 0
	}
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
}

func bytesOf(b []byte) (unsafe.Pointer, C.size_t) {
	return unsafe.Pointer(unsafe.SliceData(b)), C.size_t(len(b))
}

// Version is the library's version.
func Version() string { return C.GoString(C.et_version()) }

// ABIVersion is the version of the library's ABI.
func ABIVersion() uint32 { return uint32(C.et_abi_version()) }

// StatusName is the name of a status, such as "ET_ERR_CLOSED".
func StatusName(status int32) string { return C.GoString(C.et_status_name(C.et_status(status))) }

// AlertTypeName is the name of an alert's type, such as "piece_finished".
func AlertTypeName(kind uint32) string {
	return C.GoString(C.et_alert_type_name(C.et_alert_type(kind)))
}

// AlertMessage is a line about an alert.
func AlertMessage(record Record) string {
	var stack [256]byte
	var length C.size_t
	alert := (*C.et_alert)(unsafe.Pointer(unsafe.SliceData(record)))
	status := C.et_alert_message(alert, (*C.char)(unsafe.Pointer(&stack[0])), C.size_t(len(stack)), &length, nil)
	if status == C.ET_OK {
		return string(stack[:length])
	}
	if status != C.ET_ERR_BUFFER_TOO_SMALL {
		return ""
	}
	long := make([]byte, length)
	status = C.et_alert_message(alert, (*C.char)(unsafe.Pointer(&long[0])), C.size_t(len(long)), &length, nil)
	if status != C.ET_OK {
		return ""
	}
	return string(long[:length])
}

// AlertMessages is a line about each of some alerts, each ended by a newline. They are written into the scratch, which it gives
// back: it may have had to be replaced by a larger one.
func AlertMessages(records, scratch []byte) (lines string, larger []byte) {
	for range 2 {
		var length C.size_t
		status := C.et_alert_messages(unsafe.Pointer(unsafe.SliceData(records)), C.size_t(len(records)),
			(*C.char)(unsafe.Pointer(unsafe.SliceData(scratch))), C.size_t(len(scratch)), &length, nil)
		if status == C.ET_OK {
			return string(scratch[:length]), scratch
		}
		if status != C.ET_ERR_BUFFER_TOO_SMALL {
			break
		}
		scratch = make([]byte, length)
	}
	return "", scratch
}

// ParseInfoHashes reads an info-hash.
func ParseInfoHashes(text string, out *InfoHashes) *Error {
	e := newError()
	data, length := chars(text)
	return failure(C.et_info_hashes_parse(data, length, (*C.et_info_hashes)(unsafe.Pointer(out)), &e), &e)
}

// SettingsCount is how many settings there are.
func SettingsCount() int { return int(C.et_settings_count()) }

// DescribeSetting describes one of them.
func DescribeSetting(index int, out *SettingInfo) *Error {
	e := newError()
	out.Struct_size = C.sizeof_et_setting_info
	return failure(C.et_settings_describe(C.size_t(index), (*C.et_setting_info)(unsafe.Pointer(out)), &e), &e)
}

// A pinner keeps in place what C structs point to during a call.
type pinner struct{ runtime.Pinner }

func (p *pinner) str(text string) C.et_str {
	data, length := chars(text)
	if data != nil {
		p.Pin(data)
	}
	return C.et_str{data: data, len: length}
}

// Settings is a set of settings. One goroutine's; Free ends it.
type Settings struct{ p *C.et_settings }

// NewSettings makes one with the defaults.
func NewSettings() (*Settings, *Error) {
	e := newError()
	s := new(Settings)
	if err := failure(C.et_settings_new(&s.p, &e), &e); err != nil {
		return nil, err
	}
	live.Add(1)
	return s, nil
}

// Free ends it. Again does nothing.
func (s *Settings) Free() {
	if s.p != nil {
		C.et_settings_free(s.p)
		s.p = nil
		live.Add(-1)
	}
}

// SetInt sets an integer.
func (s *Settings) SetInt(key string, value int64) *Error {
	e := newError()
	k, kn := chars(key)
	return failure(C.et_settings_set_int(s.p, k, kn, C.int64_t(value), &e), &e)
}

// SetBool sets a bool.
func (s *Settings) SetBool(key string, value bool) *Error {
	e := newError()
	k, kn := chars(key)
	return failure(C.et_settings_set_bool(s.p, k, kn, flag(value), &e), &e)
}

// SetString sets a string.
func (s *Settings) SetString(key, value string) *Error {
	e := newError()
	k, kn := chars(key)
	v, vn := chars(value)
	return failure(C.et_settings_set_str(s.p, k, kn, v, vn, &e), &e)
}

// Int gives an integer.
func (s *Settings) Int(key string) (int64, *Error) {
	e := newError()
	k, kn := chars(key)
	var out C.int64_t
	err := failure(C.et_settings_get_int(s.p, k, kn, &out, &e), &e)
	return int64(out), err
}

// Bool gives a bool.
func (s *Settings) Bool(key string) (bool, *Error) {
	e := newError()
	k, kn := chars(key)
	var out C.int32_t
	err := failure(C.et_settings_get_bool(s.p, k, kn, &out, &e), &e)
	return out != 0, err
}

// String gives a string.
func (s *Settings) String(key string) (string, *Error) {
	k, kn := chars(key)
	text, err := collect(func(buf *C.char, cap C.size_t, length *C.size_t, e *C.et_error) C.et_status {
		return C.et_settings_get_str(s.p, k, kn, buf, cap, length, e)
	})
	return asString(text), err
}

func flag(on bool) C.int32_t {
	if on {
		return 1
	}
	return 0
}

// collect asks for an array's length and then for the array, again where it has grown meanwhile.
func collect[T any](call func(buf *T, cap C.size_t, length *C.size_t, e *C.et_error) C.et_status) ([]T, *Error) {
	var length C.size_t
	var buf []T
	for {
		e := newError()
		status := call(unsafe.SliceData(buf), C.size_t(len(buf)), &length, &e)
		switch {
		case status == C.ET_OK && int(length) <= len(buf):
			return buf[:length], nil
		case status == C.ET_OK || status == C.ET_ERR_BUFFER_TOO_SMALL:
			buf = make([]T, length)
		default:
			return nil, failure(status, &e)
		}
	}
}

// collectRecords is collect for records. There may be more of them by the second call: it has room to spare.
func collectRecords(call func(buf unsafe.Pointer, cap C.size_t, length *C.size_t, e *C.et_error) C.et_status) ([]byte, *Error) {
	var length C.size_t
	var buf Buffer
	for {
		e := newError()
		bytes := buf.Bytes()
		status := call(unsafe.Pointer(unsafe.SliceData(bytes)), C.size_t(len(bytes)), &length, &e)
		switch {
		case status == C.ET_OK && int(length) <= len(bytes):
			return bytes[:length], nil
		case status == C.ET_OK || status == C.ET_ERR_BUFFER_TOO_SMALL:
			buf = NewBuffer(int(length) + int(length)/4)
		default:
			return nil, failure(status, &e)
		}
	}
}

func asString(chars []C.char) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(chars))), len(chars)))
}

// Session is an et_session.
type Session struct {
	lease lease
	p     *C.et_session
	net   runtime.Cleanup
}

// OpenSession opens one. The settings stay the caller's.
func OpenSession(settings *Settings, state []byte) (*Session, *Error) {
	e := newError()
	data, length := bytesOf(state)
	var from *C.et_settings
	if settings != nil {
		from = settings.p
	}
	s := new(Session)
	if err := failure(C.et_session_open(from, data, length, &s.p, &e), &e); err != nil {
		return nil, err
	}
	p := s.p
	free := func() { freeSession(p) }
	s.lease.open(free)
	s.net = watch(s, "session", free)
	return s, nil
}

func freeSession(p *C.et_session) {
	C.et_session_free(p)
	live.Add(-1)
}

// enter is false for none, too: values of the package above that nobody made by a call.
func (s *Session) enter() bool { return s != nil && s.lease.enter() }
func (s *Session) leave()      { s.lease.leave() }

// call is the way of the functions that are not called often.
func (s *Session) call(f func(p *C.et_session, e *C.et_error) C.et_status) *Error {
	if !s.enter() {
		return closed()
	}
	defer s.leave()
	e := newError()
	return failure(f(s.p, &e), &e)
}

// Close closes the session, and frees it when the last call on it has returned.
func (s *Session) Close(wait Wait) *Error {
	err := s.call(func(p *C.et_session, e *C.et_error) C.et_status {
		return C.et_session_close(p, C.int64_t(wait), e)
	})
	if s != nil && s.lease.end() {
		s.net.Stop()
		return err
	}
	return nil
}

// ApplySettings is et_session_apply_settings.
func (s *Session) ApplySettings(settings *Settings) *Error {
	return s.call(func(p *C.et_session, e *C.et_error) C.et_status {
		return C.et_session_apply_settings(p, settings.p, e)
	})
}

// Settings is et_session_settings.
func (s *Session) Settings() (*Settings, *Error) {
	out := new(Settings)
	err := s.call(func(p *C.et_session, e *C.et_error) C.et_status {
		return C.et_session_settings(p, &out.p, e)
	})
	if err != nil {
		return nil, err
	}
	live.Add(1)
	return out, nil
}

// SaveState is et_session_save_state.
func (s *Session) SaveState() ([]byte, *Error) {
	if !s.enter() {
		return nil, closed()
	}
	defer s.leave()
	return collect(func(buf *byte, cap C.size_t, length *C.size_t, e *C.et_error) C.et_status {
		return C.et_session_save_state(s.p, unsafe.Pointer(buf), cap, length, e)
	})
}

// Pause is et_session_pause.
func (s *Session) Pause() *Error {
	return s.call(func(p *C.et_session, e *C.et_error) C.et_status { return C.et_session_pause(p, e) })
}

// Resume is et_session_resume.
func (s *Session) Resume() *Error {
	return s.call(func(p *C.et_session, e *C.et_error) C.et_status { return C.et_session_resume(p, e) })
}

// IsPaused is et_session_is_paused.
func (s *Session) IsPaused() (bool, *Error) {
	var out C.int32_t
	err := s.call(func(p *C.et_session, e *C.et_error) C.et_status { return C.et_session_is_paused(p, &out, e) })
	return out != 0, err
}

// AddTorrent is et_session_add_torrent. With a duplicate comes the index of the one that is there.
func (s *Session) AddTorrent(params *AddTorrentParams) (uint64, *Error) {
	var pin pinner
	defer pin.Unpin()
	list := func(texts []string) (*C.et_str, C.size_t) {
		if len(texts) == 0 {
			return nil, 0
		}
		items := make([]C.et_str, len(texts))
		for i, text := range texts {
			items[i] = pin.str(text)
		}
		pin.Pin(&items[0])
		return &items[0], C.size_t(len(items))
	}
	priorities := func(values []uint8) (*C.et_priority, C.size_t) {
		if len(values) == 0 {
			return nil, 0
		}
		pin.Pin(&values[0])
		return (*C.et_priority)(&values[0]), C.size_t(len(values))
	}
	in := C.et_add_torrent_params{
		struct_size:     C.sizeof_et_add_torrent_params,
		magnet:          pin.str(params.Magnet),
		save_path:       pin.str(params.SavePath),
		flags:           C.et_torrent_flags(params.Flags),
		storage:         C.et_storage_kind(params.Storage),
		download_limit:  C.uint32_t(params.DownloadLimit),
		upload_limit:    C.uint32_t(params.UploadLimit),
		max_connections: C.uint32_t(params.MaxConnections),
		max_uploads:     C.uint32_t(params.MaxUploads),
	}
	if len(params.Torrent) > 0 {
		pin.Pin(&params.Torrent[0])
		in.torrent, in.torrent_len = bytesOf(params.Torrent)
	}
	in.file_priorities, in.file_priorities_len = priorities(params.FilePriorities)
	in.piece_priorities, in.piece_priorities_len = priorities(params.PiecePriorities)
	in.trackers, in.trackers_len = list(params.Trackers)
	in.peers, in.peers_len = list(params.Peers)
	var index C.et_storage_index
	err := s.call(func(p *C.et_session, e *C.et_error) C.et_status {
		return C.et_session_add_torrent(p, &in, &index, e)
	})
	return uint64(index), err
}

// RemoveTorrent is et_session_remove_torrent.
func (s *Session) RemoveTorrent(index uint64, flags uint32) *Error {
	return s.call(func(p *C.et_session, e *C.et_error) C.et_status {
		return C.et_session_remove_torrent(p, C.et_storage_index(index), C.et_remove_flags(flags), e)
	})
}

// Torrents is et_session_torrents.
func (s *Session) Torrents() ([]uint64, *Error) {
	if !s.enter() {
		return nil, closed()
	}
	defer s.leave()
	return collect(func(buf *uint64, cap C.size_t, length *C.size_t, e *C.et_error) C.et_status {
		return C.et_session_torrents(s.p, (*C.et_storage_index)(buf), cap, length, e)
	})
}

// FindTorrent is et_session_find_torrent.
func (s *Session) FindTorrent(hashes *InfoHashes) (uint64, *Error) {
	var index C.et_storage_index
	err := s.call(func(p *C.et_session, e *C.et_error) C.et_status {
		return C.et_session_find_torrent(p, (*C.et_info_hashes)(unsafe.Pointer(hashes)), &index, e)
	})
	return uint64(index), err
}

// ListenPort is et_session_listen_port.
func (s *Session) ListenPort() (uint16, *Error) {
	var port C.uint16_t
	err := s.call(func(p *C.et_session, e *C.et_error) C.et_status { return C.et_session_listen_port(p, &port, e) })
	return uint16(port), err
}

// AddDHTNode is et_session_add_dht_node.
func (s *Session) AddDHTNode(host string, port int32) *Error {
	data, length := chars(host)
	return s.call(func(p *C.et_session, e *C.et_error) C.et_status {
		return C.et_session_add_dht_node(p, data, length, C.int32_t(port), e)
	})
}

// SetPortFilter is et_session_set_port_filter.
func (s *Session) SetPortFilter(rules []PortRule) *Error {
	raw := make([]C.et_port_rule, len(rules))
	for i, rule := range rules {
		raw[i] = C.et_port_rule{
			struct_size: C.sizeof_et_port_rule,
			first:       C.uint16_t(rule.First),
			last:        C.uint16_t(rule.Last),
			access:      C.et_port_access(rule.Access),
		}
	}
	return s.call(func(p *C.et_session, e *C.et_error) C.et_status {
		return C.et_session_set_port_filter(p, unsafe.SliceData(raw), C.size_t(len(raw)), e)
	})
}

// Stats is et_session_stats.
func (s *Session) Stats(out *SessionStatsInfo) *Error {
	if !s.enter() {
		return closed()
	}
	defer s.leave()
	e := newError()
	out.Struct_size = C.sizeof_et_session_stats_info
	return failure(C.et_session_stats(s.p, (*C.et_session_stats_info)(unsafe.Pointer(out)), &e), &e)
}

// PopAlerts is et_session_pop_alerts.
func (s *Session) PopAlerts(buffer Buffer, out *AlertBatch) *Error {
	if !s.enter() {
		return closed()
	}
	defer s.leave()
	e := newError()
	out.Size = C.sizeof_et_alert_batch
	status := C.et_session_pop_alerts(s.p, unsafe.Pointer(unsafe.SliceData(buffer)), C.size_t(len(buffer)*8),
		(*C.et_alert_batch)(unsafe.Pointer(out)), &e)
	return failure(status, &e)
}

// AlertFD is et_session_alert_fd.
func (s *Session) AlertFD() (int, *Error) {
	var fd C.int32_t
	err := s.call(func(p *C.et_session, e *C.et_error) C.et_status { return C.et_session_alert_fd(p, &fd, e) })
	return int(fd), err
}

// SetAlertMask is et_session_set_alert_mask.
func (s *Session) SetAlertMask(mask uint64) *Error {
	return s.call(func(p *C.et_session, e *C.et_error) C.et_status {
		return C.et_session_set_alert_mask(p, C.et_alert_categories(mask), e)
	})
}

// SetMemoryLimit is et_storage_set_limit.
func (s *Session) SetMemoryLimit(bytes uint64) *Error {
	return s.call(func(p *C.et_session, e *C.et_error) C.et_status {
		return C.et_storage_set_limit(p, C.uint64_t(bytes), e)
	})
}

// TorrentStatuses is et_torrent_statuses.
func (s *Session) TorrentStatuses() ([]TorrentStatusInfo, *Error) {
	if !s.enter() {
		return nil, closed()
	}
	defer s.leave()
	return collect(func(buf *TorrentStatusInfo, cap C.size_t, length *C.size_t, e *C.et_error) C.et_status {
		items := (*C.et_torrent_status_info)(unsafe.Pointer(buf))
		return C.et_torrent_statuses(s.p, items, C.sizeof_et_torrent_status_info, cap, length, e)
	})
}
