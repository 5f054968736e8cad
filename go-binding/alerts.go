package torrent

import (
	"context"
	"iter"
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
	buffer := popBuffers.Get().(*capi.Buffer)
	defer popBuffers.Put(buffer)
	bytes, count, err := s.pop(buffer)
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
func (s *Session) pop(buffer *capi.Buffer) ([]byte, int, error) {
	for {
		var batch capi.AlertBatch
		err := s.raw.PopAlerts(*buffer, &batch)
		if err == nil {
			return buffer.Bytes()[:batch.Bytes], int(batch.Count), nil
		}
		if err.Status != capi.ErrBufferTooSmall {
			return nil, 0, wrap("Session.PopAlerts", err)
		}
		*buffer = capi.NewBuffer(int(batch.Needed))
	}
}

// An AlertBuffer is for loops that want no garbage: it uses its memory and its alerts again. The zero value is ready. One
// goroutine's.
type AlertBuffer struct {
	memory capi.Buffer
	rest   []byte
	alerts map[AlertType]decoder
	last   AlertType
	cached decoder
}

// PopAlertsInto is PopAlerts into a buffer, which it empties first. How many alerts it brought; [AlertBuffer.Next] gives them.
func (s *Session) PopAlertsInto(into *AlertBuffer) (int, error) {
	if into.memory == nil {
		into.memory = capi.NewBuffer(popBytes)
	}
	into.rest = nil
	bytes, count, err := s.pop(&into.memory)
	into.rest = bytes
	return count, err
}

// Next gives the next alert of the buffer, nil at its end. It is good until the next Next or PopAlertsInto: who wants to keep it
// copies what he needs. It allocates nothing but the strings that the alert has.
func (b *AlertBuffer) Next() Alert {
	record, rest, ok := capi.NextRecord(b.rest)
	if !ok {
		return nil
	}
	b.rest = rest
	kind := AlertType(capi.View[capi.Alert](record).Type)
	if b.cached == nil || kind != b.last {
		b.last, b.cached = kind, b.alert(kind)
	}
	b.cached.decode(record)
	return b.cached
}

func (b *AlertBuffer) alert(kind AlertType) decoder {
	if alert := b.alerts[kind]; alert != nil {
		return alert
	}
	alert := decoder(new(UnknownAlert))
	if make := alertKinds[kind]; make != nil {
		alert = make()
	}
	if b.alerts == nil {
		b.alerts = map[AlertType]decoder{}
	}
	b.alerts[kind] = alert
	return alert
}

// WaitAlerts waits until alerts can be popped. It ends with the context's cause, or with [ErrClosed]. It holds no thread.
func (s *Session) WaitAlerts(ctx context.Context) error {
	const op = "Session.WaitAlerts"
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
		return endOfWait(ctx, op, ended)
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
			return nil, failed
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

// SetAlertMask sets which categories of alerts are posted from now on, as the setting "alert_mask" does. Answers to calls come
// whatever the mask.
func (s *Session) SetAlertMask(mask AlertCategories) error {
	return wrap("Session.SetAlertMask", s.raw.SetAlertMask(uint64(mask)))
}
