package torrent

import (
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
	if name, ok := alertNames()[t]; ok {
		return name
	}
	return capi.AlertTypeName(uint32(t))
}

// alertNames are the names of the types that are known, asked for once.
var alertNames = sync.OnceValue(func() map[AlertType]string {
	names := make(map[AlertType]string, len(alertKinds))
	for kind := range alertKinds {
		names[kind] = capi.AlertTypeName(uint32(kind))
	}
	return names
})

// IsKnown tells whether this package has a Go type for it.
func (t AlertType) IsKnown() bool { return alertKinds[t] != nil }

// AlertBase is what all alerts have.
type AlertBase struct {
	// The record as the library gave it. Nobody writes to it.
	record capi.Record
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
func (a *AlertBase) Message() string { return capi.AlertMessage(a.record) }

// String is the type's name and the message.
func (a *AlertBase) String() string { return a.Type().String() + ": " + a.Message() }

func (a *AlertBase) decode(record capi.Record) { a.record = record }

// An UnknownAlert is one of a type that this package does not know.
type UnknownAlert struct{ AlertBase }

// A decoder is an alert that takes a record in.
type decoder interface {
	Alert
	decode(record capi.Record)
}

// newAlert makes an alert of a record.
func newAlert(record capi.Record) Alert {
	kind := alertKinds[AlertType(capi.View[capi.Alert](record).Type)]
	var alert decoder
	if kind == nil {
		alert = new(UnknownAlert)
	} else {
		alert = kind()
	}
	alert.decode(record)
	return alert
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
