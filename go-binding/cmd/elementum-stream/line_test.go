package main

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"elementum.example/torrent"
)

// A stand is streams with a line of which the test is master.
type stand struct {
	*testing.T
	*streams
	clients int
}

func newStand(t *testing.T, memory uint64, wait time.Duration) *stand {
	s := newStreams(100, func() uint64 { return memory })
	s.lineWait = wait
	return &stand{T: t, streams: s}
}

// stream is a new client's, at a piece that is nobody else's.
func (s *stand) stream() *content {
	s.clients++
	return s.again(s.clients)
}

// again is a stream of a client that was here before.
func (s *stand) again(client int) *content {
	return &content{torrent: &torrent.Torrent{}, file: torrent.File{Offset: uint64(client) << 40},
		key: lineKey{netip.AddrFrom4([4]byte{10, 0, 0, byte(client)}), 1, 0}}
}

// must lets a stream in at once.
func (s *stand) must(c *content, cost uint64) *content {
	s.Helper()
	if err := s.enter(context.Background(), c, cost); err != nil {
		s.Fatal(err)
	}
	return c
}

// waits lets a stream stand in line. What comes of it.
func (s *stand) waits(ctx context.Context, c *content, cost uint64) <-chan error {
	s.Helper()
	s.mu.Lock()
	before := len(s.line)
	s.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- s.enter(ctx, c, cost) }()
	untilTrue(s.T, "it stands in line", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.line) == before+1
	})
	return done
}

func (s *stand) stillWaits(what string, done <-chan error) {
	s.Helper()
	select {
	case err := <-done:
		s.Errorf("%s does not wait: %v", what, err)
	case <-time.After(20 * time.Millisecond):
	}
}

func (s *stand) isIn(what string, done <-chan error) {
	s.Helper()
	select {
	case err := <-done:
		if err != nil {
			s.Errorf("%s: %v", what, err)
		}
	case <-time.After(10 * time.Second):
		s.Fatalf("%s still waits", what)
	}
}

// Who needs much waits for it, and nobody who came later takes it away. What needs no memory of its own passes.
func TestTheLineForMemoryIsInOrder(t *testing.T) {
	s := newStand(t, 16, time.Minute)
	a, b := s.must(s.stream(), 16), s.must(s.stream(), 15)
	large := s.waits(t.Context(), s.stream(), 16)
	small := s.waits(t.Context(), s.stream(), 1)
	s.stillWaits("the small one, for which there is memory", small)
	beside := s.must(s.again(1), 16)
	s.leave(a)
	s.stillWaits("the large one, while a piece is in use", large)
	s.leave(beside)
	s.isIn("the large one", large)
	s.isIn("the small one", small)
	s.leave(b)
}

// Who was told to come again finds his place kept, for a while.
func TestAPlaceInTheLineIsKept(t *testing.T) {
	s := newStand(t, 16, 20*time.Millisecond)
	ctx := context.Background()
	a, _ := s.must(s.stream(), 16), s.must(s.stream(), 15)
	if err := s.enter(ctx, s.stream(), 16); !errors.Is(err, errMemory) {
		t.Fatal(err)
	}
	const large = 3
	s.leave(a)
	if err := s.enter(ctx, s.stream(), 1); !errors.Is(err, errMemory) {
		t.Error("a new one before it:", err)
	}
	c := s.must(s.again(large), 16)
	// It did not get its memory after all: its place is the first one.
	s.sendBack(c)
	s.leave(c)
	if err := s.enter(ctx, s.stream(), 1); !errors.Is(err, errMemory) {
		t.Error("a new one before one that was sent back:", err)
	}
	// It does not come in time.
	s.line[0].kept = time.Now()
	s.must(s.again(4), 1)
}

func TestAPlaceInTheLineIsNotKeptForEver(t *testing.T) {
	s := newStand(t, 16, 20*time.Millisecond)
	s.must(s.stream(), 16)
	s.must(s.stream(), 15)
	refused := s.waits(t.Context(), s.stream(), 16)
	s.mu.Lock()
	s.line[0].since = time.Now().Add(-longestPlace)
	s.mu.Unlock()
	if err := <-refused; !errors.Is(err, errMemory) {
		t.Fatal(err)
	}
	s.must(s.stream(), 1)
}

func TestTheLineForMemoryIsBounded(t *testing.T) {
	s := newStand(t, 16, time.Minute)
	a, b := s.must(s.stream(), 16), s.must(s.stream(), 16)
	first, leave := context.WithCancel(t.Context())
	gone := s.waits(first, s.stream(), 16)
	var waiting []<-chan error
	for range maxLine - 1 {
		waiting = append(waiting, s.waits(t.Context(), s.stream(), 1))
	}
	if err := s.enter(context.Background(), s.stream(), 1); !errors.Is(err, errMemory) {
		t.Error("one more than may stand there:", err)
	}
	s.leave(a)
	s.isIn("the first", gone)
	leave()
	// One that goes away keeps nobody out.
	second, leave := context.WithCancel(t.Context())
	s.stillWaits("the second", waiting[0])
	extra := s.waits(second, s.stream(), 1)
	leave()
	if err := <-extra; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.leave(b)
	for i := range 16 {
		s.isIn("one of the others", waiting[i])
	}
	s.stillWaits("the seventeenth", waiting[16])
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) != maxLine-1-16 || len(s.open) != 17 {
		t.Errorf("%d wait, %d are open", len(s.line), len(s.open))
	}
}
