package torrent

import (
	"strings"
	"sync"
	"time"

	"elementum.example/torrent/internal/capi"
)

// An Alert is something that happened in a session. Which, a type switch tells:
//
//	switch a := alert.(type) {
//	case *torrent.PieceFinished:
//		fmt.Println(a.StorageIndex(), a.Piece)
//	case *torrent.TrackerError:
//		log.Println(a.Message())
//	}
//
// Types that a newer library has come as [*UnknownAlert]. An alert owns its data: it may be kept, and given to other goroutines.
type Alert interface {
	Type() AlertType
	// What it is about.
	Category() AlertCategories
	// Counts the session's alerts from 1. A gap is where alerts were dropped.
	Sequence() uint64
	// When it was posted.
	Time() time.Time
	// The torrent that it is about, 0 where it is about none.
	StorageIndex() StorageIndex
	// A line for logs, without passkeys. Its wording may change with any version.
	Message() string
}

// AlertType is the number of an alert's type.
type AlertType uint32

// String is the type's name, such as "piece_finished".
func (t AlertType) String() string {
	if slot, ok := t.slot(); ok {
		if name := alertNames()[slot]; name != "" {
			return name
		}
	}
	return capi.AlertTypeName(uint32(t))
}

// alertNames are the names of the types that are known, asked for once.
var alertNames = sync.OnceValue(func() *[alertSlots]string {
	var names [alertSlots]string
	for kind := range alertKinds {
		if slot, ok := kind.slot(); ok {
			names[slot] = capi.AlertTypeName(uint32(kind))
		}
	}
	return &names
})

// Tables by type have this many places: libtorrent's numbers are below half of it, ours are as many from 1000 on.
const alertSlots = 256

// slot is the type's place in a table. Types far from those that are known have none.
func (t AlertType) slot() (int, bool) {
	switch {
	case t < alertSlots/2:
		return int(t), true
	case t >= 1000 && t < 1000+alertSlots/2:
		return int(t) - 1000 + alertSlots/2, true
	}
	return 0, false
}

// IsKnown tells whether this package has a Go type for it.
func (t AlertType) IsKnown() bool { return alertKinds[t] != nil }

// AlertBase is what all alerts have.
type AlertBase struct {
	// The record as the library gave it. Nobody writes to it.
	record capi.Record
	// Where it is one of a buffer's.
	buffer *AlertBuffer
}

func (a *AlertBase) base() *capi.Alert { return capi.View[capi.Alert](a.record) }

// Type is the alert's type.
func (a *AlertBase) Type() AlertType { return AlertType(a.base().Type) }

// Category is what it is about.
func (a *AlertBase) Category() AlertCategories { return AlertCategories(a.base().Category) }

// Sequence counts the session's alerts from 1.
func (a *AlertBase) Sequence() uint64 { return a.base().Sequence }

// Time is when it was posted.
func (a *AlertBase) Time() time.Time { return time.UnixMicro(a.base().Us) }

// StorageIndex is the torrent that it is about, 0 where it is about none.
func (a *AlertBase) StorageIndex() StorageIndex { return StorageIndex(a.base().Torrent) }

// Message is a line for logs. It is made when it is asked for.
func (a *AlertBase) Message() string {
	if a.buffer != nil {
		return a.buffer.message()
	}
	return capi.AlertMessage(a.record)
}

// String is the message, which begins with the type's name.
func (a *AlertBase) String() string {
	name, message := a.Type().String(), a.Message()
	if rest, ok := strings.CutPrefix(message, name); ok && (rest == "" || rest[0] == ' ' || rest[0] == ':') {
		return message
	}
	return strings.TrimSuffix(name+": "+message, ": ")
}

func (a *AlertBase) decode(record capi.Record) { a.record = record }

func (a *AlertBase) lend(buffer *AlertBuffer) { a.buffer = buffer }

// An UnknownAlert is one of a type that this package does not know.
type UnknownAlert struct{ AlertBase }

// A decoder is an alert that takes a record in.
type decoder interface {
	Alert
	decode(record capi.Record)
	lend(buffer *AlertBuffer)
}

// newAlert makes an alert of a record.
func newAlert(record capi.Record) Alert {
	alert := AlertType(capi.View[capi.Alert](record).Type).make()
	alert.decode(record)
	return alert
}

// make makes an empty alert of the type.
func (t AlertType) make() decoder {
	if kind := alertKinds[t]; kind != nil {
		return kind()
	}
	return new(UnknownAlert)
}

// alertError is an error in an alert, nil for none.
func alertError(record capi.Record, raw *capi.AlertError) error {
	if raw.Status == capi.Ok {
		return nil
	}
	return wrap("alert", &capi.Error{
		Status:    raw.Status,
		OSError:   raw.Error,
		Operation: raw.Operation,
		Message:   record.Text(raw.Message),
	})
}

func droppedCounts(record capi.Record, raw *capi.AlertsDroppedAlert) map[AlertType]int {
	counts := map[AlertType]int{}
	for _, count := range record.Counts(raw) {
		counts[AlertType(count.Type)] += int(count.Count)
	}
	return counts
}
