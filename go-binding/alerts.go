package torrent

import (
	"context"
	"iter"
	"strings"
	"sync"

	"elementum.example/torrent/internal/capi"
)

// One pop brings at most so many bytes of alerts: some hundred.
const popBytes = 32 << 10

var popBuffers = sync.Pool{New: func() any {
	buffer := capi.NewBuffer(popBytes)
	return &buffer
}}

// PopAlerts takes the alerts that wait, oldest first, some hundred at most. None is no error. Where several goroutines pop, each
// alert goes to one; [AlertFeed] gives all to each.
func (s *Session) PopAlerts() ([]Alert, error) {
	const op = "Session.PopAlerts"
	buffer := popBuffers.Get().(*capi.Buffer)
	defer popBuffers.Put(buffer)
	bytes, count, err := s.pop(op, buffer)
	if err != nil || count == 0 {
		return nil, err
	}
	// One copy for all of them: it is never written to again.
	owned := capi.NewBuffer(len(bytes)).Bytes()
	copy(owned, bytes)
	alerts := make([]Alert, 0, count)
	for {
		record, rest, ok := capi.NextRecord(owned)
		if !ok {
			return alerts, nil
		}
		alerts = append(alerts, newAlert(record))
		owned = rest
	}
}

// pop fills the buffer, which it replaces where not even one alert fits.
func (s *Session) pop(op string, buffer *capi.Buffer) ([]byte, int, error) {
	for {
		var batch capi.AlertBatch
		err := s.raw.PopAlerts(*buffer, &batch)
		if err == nil {
			return buffer.Bytes()[:batch.Bytes], int(batch.Count), nil
		}
		if err.Status != capi.ErrBufferTooSmall {
			return nil, 0, wrap(op, err)
		}
		*buffer = capi.NewBuffer(int(batch.Needed))
	}
}

// An AlertBuffer is for loops that want no garbage: it uses its memory and its alerts again. The zero value is ready. One
// goroutine's.
type AlertBuffer struct {
	memory capi.Buffer
	// What was popped, where the current alert's record begins in it, and where the next one's.
	records       []byte
	current, next int
	alerts        [alertSlots]decoder
	// The current alert's message, where it was asked for, and those that were made ahead: of the alerts behind it, or from it on.
	line, lines string
	// How many lines to make the next time: four times as many each time, so that who takes every message makes few calls, and who
	// takes one pays for one.
	ahead   int
	scratch []byte
}

const (
	maxAhead = 64
	// As many lines are shorter than this together.
	scratchBytes = 4 << 10
)

// PopAlertsInto is PopAlerts into a buffer, which it empties first. How many alerts it brought; [AlertBuffer.Next] gives them.
func (s *Session) PopAlertsInto(into *AlertBuffer) (int, error) {
	const op = "Session.PopAlertsInto"
	if into == nil {
		return 0, invalid(op, "the buffer is nil")
	}
	if into.memory == nil {
		into.memory = capi.NewBuffer(popBytes)
	}
	into.records, into.current, into.next = nil, 0, 0
	into.line, into.lines, into.ahead = "", "", 1
	bytes, count, err := s.pop(op, &into.memory)
	into.records = bytes
	return count, err
}

// Next gives the next alert of the buffer, nil at its end. It is good until the next Next or PopAlertsInto: who wants to keep it
// copies what he needs. It allocates nothing but the strings that the alert has.
func (b *AlertBuffer) Next() Alert {
	record, _, ok := capi.NextRecord(b.records[b.next:])
	if !ok {
		return nil
	}
	if b.lines != "" || b.line != "" {
		b.dropLine()
	}
	b.current, b.next = b.next, b.next+len(record)
	alert := b.alert(AlertType(capi.View[capi.Alert](record).Type))
	alert.decode(record)
	return alert
}

// alert is the one of that type that is used again and again.
func (b *AlertBuffer) alert(kind AlertType) decoder {
	slot, ok := kind.slot()
	if ok && b.alerts[slot] != nil {
		return b.alerts[slot]
	}
	alert := kind.make()
	alert.lend(b)
	if ok {
		b.alerts[slot] = alert
	}
	return alert
}

// message is the current alert's.
func (b *AlertBuffer) message() string {
	if b.line == "" {
		if b.lines == "" {
			b.makeLines()
		}
		b.cutLine()
	}
	return b.line
}

func (b *AlertBuffer) makeLines() {
	if b.scratch == nil {
		b.scratch = make([]byte, scratchBytes)
	}
	rest := b.records[b.current:]
	for n := 0; n < b.ahead && len(rest) > 0; n++ {
		_, rest, _ = capi.NextRecord(rest)
	}
	b.lines, b.scratch = capi.AlertMessages(b.records[b.current:len(b.records)-len(rest)], b.scratch)
	b.ahead = min(4*b.ahead, maxAhead)
}

// dropLine is for the end of the current alert.
func (b *AlertBuffer) dropLine() {
	if b.line == "" {
		b.cutLine()
	}
	b.line = ""
}

func (b *AlertBuffer) cutLine() {
	if end := strings.IndexByte(b.lines, '\n'); end >= 0 {
		b.line, b.lines = b.lines[:end], b.lines[end+1:]
	}
}

// WaitAlerts waits until alerts can be popped. It ends with the context's cause, or with [ErrClosed]. It holds no thread.
func (s *Session) WaitAlerts(ctx context.Context) error {
	const op = "Session.WaitAlerts"
	ctx = orBackground(ctx)
	waiter, err := s.openAlertWaiter(op)
	if err != nil {
		return err
	}
	var failed error
	ended := waiter.wait(ctx, func() bool {
		var batch capi.AlertBatch
		err := s.raw.PopAlerts(nil, &batch)
		if err != nil && err.Status != capi.ErrBufferTooSmall {
			failed = wrap(op, err)
		}
		return failed != nil || batch.Needed > 0
	})
	if ended != nil {
		return endOfWait(ctx, op, ended, "no alert came in time")
	}
	return failed
}

func (s *Session) openAlertWaiter(op string) (*waiter, error) {
	s.alertWaiter.Lock()
	defer s.alertWaiter.Unlock()
	if s.alertWaiter.closed {
		return nil, closedError(op)
	}
	if s.alertWaiter.waiter == nil {
		fd, err := s.raw.AlertFD()
		if err != nil {
			return nil, wrap(op, err)
		}
		made, failed := newWaiter(fd)
		if failed != nil {
			return nil, waiterError(op, failed)
		}
		s.alertWaiter.waiter = made
	}
	return s.alertWaiter.waiter, nil
}

// Alerts gives the session's alerts as they come, until the context or the session ends, or the loop is left:
//
//	for alert := range session.Alerts(ctx) {
//		switch a := alert.(type) {
//		case *torrent.MetadataReceived:
//			…
//		}
//	}
//
// What was popped when the loop is left is lost to others. For more than one consumer there is [AlertFeed].
func (s *Session) Alerts(ctx context.Context) iter.Seq[Alert] {
	ctx = orBackground(ctx)
	return func(yield func(Alert) bool) {
		for {
			alerts, err := s.PopAlerts()
			if err != nil {
				return
			}
			for _, alert := range alerts {
				if ctx.Err() != nil || !yield(alert) {
					return
				}
			}
			if len(alerts) == 0 && s.WaitAlerts(ctx) != nil {
				return
			}
		}
	}
}

// SetAlertMask sets which categories of alerts are posted from now on, as the setting "alert_mask" does. Whatever the mask, these
// come: AddTorrent, TorrentRemoved, TorrentDeleted, TorrentDeleteFailed, ListenFailed and AlertsDropped.
func (s *Session) SetAlertMask(mask AlertCategories) error {
	return wrap("Session.SetAlertMask", s.raw.SetAlertMask(uint64(mask)))
}
