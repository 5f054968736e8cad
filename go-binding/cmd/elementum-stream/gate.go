package main

import (
	"context"
	"time"
)

// A gate lets so many through at once. So many more stand in line, in the order in which they came; the others are sent away.
type gate struct {
	places, line chan struct{}
}

func newGate(most, waiting int) *gate {
	return &gate{places: make(chan struct{}, most), line: make(chan struct{}, waiting)}
}

// enter waits for a place. Whoever got one leaves.
func (g *gate) enter(ctx context.Context, within time.Duration) error {
	select {
	case g.places <- struct{}{}:
		return nil
	default:
	}
	select {
	case g.line <- struct{}{}:
	default:
		return errBusy
	}
	defer func() { <-g.line }()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case g.places <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *gate) leave() { <-g.places }
