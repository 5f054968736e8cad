package main

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"elementum.example/torrent"
)

// Streams that memory does not hold yet stand in one line, in the order in which they came. Nobody who needs memory overtakes: as those that
// are open end, what they free is kept for the first, however much it needs. A request does not wait for ever: it is told to come again, and its
// place is kept for it so long.
//
// Whoever is first keeps all others out until enough is free, and that may be long where the open ones are films. So the place is kept for some
// tries only; then its client stands at the end, and those behind it have their turn.
const (
	// How long a request stands in line, and how many do.
	lineWait = 5 * time.Second
	maxLine  = 64
	// How long the place of one that was told to come again is kept, and for how long in all.
	placeKept    = 10 * time.Second
	longestPlace = 2 * time.Minute
)

// A lineKey is by what a client that comes again is known.
type lineKey struct {
	client  netip.Addr
	torrent torrent.StorageIndex
	file    torrent.FileIndex
}

// A lineTicket is a place in the line.
type lineTicket struct {
	key   lineKey
	since time.Time
	// Who stands there; nil while the place is kept for one that comes again, until kept.
	stream *content
	cost   uint64
	kept   time.Time
	// Closed when the stream is let in.
	in chan struct{}
}

// enter lets a stream in where there is a place, and memory for the piece at its position beside those of the others, waiting in line for
// that memory.
func (s *streams) enter(ctx context.Context, c *content, pieceCost uint64) error {
	memory := s.memory()
	s.mu.Lock()
	if len(s.open) >= s.most {
		s.mu.Unlock()
		return errBusy
	}
	s.letIn(memory)
	need := s.needed(c, pieceCost)
	if need == 0 || s.holds(memory, pieceCost, need) && s.isFirst(c.key) {
		c.since = time.Now()
		if at := s.keptFor(c.key); at >= 0 {
			c.since = s.line[at].since
			s.line = slices.Delete(s.line, at, at+1)
		}
		s.add(c, pieceCost)
		s.letIn(memory)
		s.mu.Unlock()
		return nil
	}
	ticket := s.stand(c, pieceCost)
	s.mu.Unlock()
	if ticket == nil {
		return errMemory
	}
	timer := time.NewTimer(s.lineWait)
	defer timer.Stop()
	var err error
	select {
	case <-ticket.in:
		return nil
	case <-timer.C:
		err = errMemory
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-ticket.in:
		// It was let in meanwhile.
		if ctx.Err() != nil {
			delete(s.open, c)
			s.letIn(memory)
			return err
		}
		return nil
	default:
	}
	if ctx.Err() != nil || !s.keep(ticket) {
		s.line = slices.DeleteFunc(s.line, func(t *lineTicket) bool { return t == ticket })
		s.letIn(memory)
	}
	return err
}

// sendBack keeps the first place for the client of a stream that was let in and did not get its memory.
func (s *streams) sendBack(c *content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ticket := &lineTicket{key: c.key, since: c.since}
	if len(s.line) < maxLine && s.keep(ticket) {
		s.line = slices.Insert(s.line, 0, ticket)
	}
}

// advance lets in those in line for whom there is memory now.
func (s *streams) advance() {
	s.mu.Lock()
	waiting := len(s.line) > 0
	s.mu.Unlock()
	if waiting {
		memory := s.memory()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.letIn(memory)
	}
}

// What follows is called under the lock.

// keep keeps a ticket's place for a client that is told to come again. False: it had that for long enough.
func (s *streams) keep(ticket *lineTicket) bool {
	ticket.stream = nil
	ticket.kept = time.Now().Add(placeKept)
	if ticket.kept.Sub(ticket.since) > longestPlace {
		return false
	}
	time.AfterFunc(placeKept, s.advance)
	return true
}

// letIn lets in from the front of the line, as long as the first one fits.
func (s *streams) letIn(memory uint64) {
	for len(s.line) > 0 {
		first := s.line[0]
		if first.stream != nil {
			if len(s.open) >= s.most || !s.holds(memory, first.cost, s.needed(first.stream, first.cost)) {
				return
			}
			first.stream.since = first.since
			s.add(first.stream, first.cost)
			close(first.in)
		} else if time.Now().Before(first.kept) {
			return
		}
		s.line = slices.Delete(s.line, 0, 1)
	}
}

// needed is the memory that a stream needs beside what the open ones have: none where one of them is at the same piece.
func (s *streams) needed(c *content, pieceCost uint64) uint64 {
	piece := pieceInUseBy(c, pieceCost)
	for other, place := range s.open {
		if pieceInUseBy(other, place.pieceCost) == piece {
			return 0
		}
	}
	return pieceCost
}

// holds tells whether there is memory for so much more.
func (s *streams) holds(memory, pieceCost, more uint64) bool {
	// A piece that does not fit alone is not a matter of how many there are: opening its reader says so.
	if memory == 0 || pieceCost > memory || len(s.open) == 0 {
		return true
	}
	used := map[pieceInUse]uint64{}
	for other, place := range s.open {
		used[pieceInUseBy(other, place.pieceCost)] = place.pieceCost
	}
	for _, cost := range used {
		more += cost
	}
	return more <= streamsPerPiece*memory
}

// isFirst tells whether nobody stands before the client that comes now.
func (s *streams) isFirst(key lineKey) bool {
	return len(s.line) == 0 || s.line[0].stream == nil && s.line[0].key == key
}

// keptFor is where in the line a place is kept for a client, -1: nowhere.
func (s *streams) keptFor(key lineKey) int {
	return slices.IndexFunc(s.line, func(t *lineTicket) bool { return t.stream == nil && t.key == key })
}

// stand takes the place that was kept for the client, or one at the end. Nil: the line is full.
func (s *streams) stand(c *content, pieceCost uint64) *lineTicket {
	now := time.Now()
	s.line = slices.DeleteFunc(s.line, func(t *lineTicket) bool { return t.stream == nil && !now.Before(t.kept) })
	ticket := &lineTicket{key: c.key, since: now}
	if at := s.keptFor(c.key); at >= 0 {
		ticket = s.line[at]
	} else if len(s.line) >= maxLine {
		return nil
	} else {
		s.line = append(s.line, ticket)
	}
	ticket.stream, ticket.cost, ticket.in = c, pieceCost, make(chan struct{})
	return ticket
}

func (s *streams) add(c *content, pieceCost uint64) {
	s.next++
	s.open[c] = place{s.next, pieceCost}
	s.total.Add(1)
}
