package torrent

import (
	"context"
	"iter"
	"sync"
)

// An AlertFeed gives a session's alerts to several consumers: each gets all that are posted while it listens.
//
// It is the only one that pops, from the first subscription on: what was posted before waits for that one. A consumer that is slow loses
// its oldest alerts, never those of others, and never holds up the session; what it lost, it is told. Stop ends it, and so does the
// session's end.
type AlertFeed struct {
	session *Session
	ctx     context.Context
	cancel  context.CancelFunc
	// Its goroutine.
	popping sync.WaitGroup

	mu        sync.Mutex
	consumers map[*consumer]struct{}
	// It pops; it will no more.
	begun, over bool
}

type consumer struct {
	// What it wants to hear of; nil: everything.
	wants   func(Alert) bool
	queue   []Alert
	most    int
	dropped uint64
	// Its loop has ended, or will never begin.
	left bool
	// Holds one token while there is something to look at.
	wake chan struct{}
}

// NewAlertFeed makes a feed of the session's alerts. Stop it. Errors: [ErrInvalidArgument] for no session, [ErrClosed] for one that is
// closed.
func NewAlertFeed(session *Session) (*AlertFeed, error) {
	const op = "NewAlertFeed"
	if session == nil {
		return nil, invalid(op, "the session is nil")
	}
	if _, err := session.openAlertWaiter(op); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &AlertFeed{session: session, ctx: ctx, cancel: cancel, consumers: map[*consumer]struct{}{}}, nil
}

// isNone is of one that NewAlertFeed did not give: it is as one that was stopped.
func (f *AlertFeed) isNone() bool { return f == nil || f.session == nil }

// pop is the feed's goroutine.
func (f *AlertFeed) pop() {
	for alert := range f.session.Alerts(f.ctx) {
		f.give(alert)
	}
	f.end()
}

// Stop ends the feed and all loops over it, and waits for its goroutine. Again does nothing.
func (f *AlertFeed) Stop() {
	if f.isNone() {
		return
	}
	f.cancel()
	f.mu.Lock()
	// Who subscribes from now on finds it over.
	f.over = f.over || !f.begun
	f.mu.Unlock()
	f.popping.Wait()
}

// SubscribeTorrent is Subscribe to the alerts of one torrent, and to those that tell of lost ones: others take no place in its queue.
func (f *AlertFeed) SubscribeTorrent(ctx context.Context, index StorageIndex, most int) iter.Seq2[Alert, uint64] {
	return f.subscribe(ctx, most, func(alert Alert) bool {
		return alert.StorageIndex() == index || alert.Type() == TypeAlertsDropped
	})
}

// Subscribe gives the alerts from now on, until the context or the feed ends, or the loop is left. It keeps at most so many for a loop
// that is busy: more, and the oldest are dropped. The second value is how many were dropped since the last. It is for one loop: another one
// over the same value ends at once.
func (f *AlertFeed) Subscribe(ctx context.Context, most int) iter.Seq2[Alert, uint64] {
	return f.subscribe(ctx, most, nil)
}

func (f *AlertFeed) subscribe(ctx context.Context, most int, wants func(Alert) bool) iter.Seq2[Alert, uint64] {
	if f.isNone() {
		return func(func(Alert, uint64) bool) {}
	}
	ctx = orBackground(ctx)
	c := &consumer{wants: wants, most: max(most, 1), wake: make(chan struct{}, 1)}
	f.mu.Lock()
	if !f.over {
		f.consumers[c] = struct{}{}
		if !f.begun {
			f.begun = true
			f.popping.Go(f.pop)
		}
	}
	f.mu.Unlock()
	// A loop that is never begun leaves with its context.
	stop := context.AfterFunc(ctx, func() { f.leave(c) })
	return func(yield func(Alert, uint64) bool) {
		defer stop()
		defer f.leave(c)
		for ctx.Err() == nil {
			alert, dropped, over := f.take(c)
			switch {
			case alert != nil:
				if !yield(alert, dropped) {
					return
				}
			case over:
				return
			default:
				select {
				case <-c.wake:
				case <-ctx.Done():
				}
			}
		}
	}
}

func (f *AlertFeed) give(alert Alert) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.consumers {
		if c.wants != nil && !c.wants(alert) {
			continue
		}
		if len(c.queue) == c.most {
			c.queue = append(c.queue[:0], c.queue[1:]...)
			c.dropped++
		}
		c.queue = append(c.queue, alert)
		c.stir()
	}
}

func (f *AlertFeed) take(c *consumer) (alert Alert, dropped uint64, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(c.queue) == 0 {
		return nil, 0, f.over || c.left
	}
	alert, c.queue[0] = c.queue[0], nil
	c.queue = c.queue[1:]
	dropped, c.dropped = c.dropped, 0
	return alert, dropped, false
}

func (f *AlertFeed) leave(c *consumer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.consumers, c)
	c.queue, c.left = nil, true
	c.stir()
}

// end wakes who waits, for the last time.
func (f *AlertFeed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for c := range f.consumers {
		c.stir()
	}
}

func (c *consumer) stir() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
