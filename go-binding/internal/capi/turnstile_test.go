package capi

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestATurnstileLetsSoManyIn(t *testing.T) {
	const most, all, times = 3, 200, 500
	gate := newTurnstile(most)
	var inside, greatest, passed atomic.Int64
	var group sync.WaitGroup
	for range all {
		group.Go(func() {
			for range times {
				gate.enter()
				now := inside.Add(1)
				for seen := greatest.Load(); now > seen && !greatest.CompareAndSwap(seen, now); seen = greatest.Load() {
				}
				runtime.Gosched()
				inside.Add(-1)
				passed.Add(1)
				gate.leave()
			}
		})
	}
	group.Wait()
	if greatest.Load() != most || passed.Load() != all*times {
		t.Errorf("%d at once, %d in all", greatest.Load(), passed.Load())
	}
	if gate.inside.Load() != 0 || len(gate.turn) != 0 {
		t.Errorf("%d are still in, %d turns are left", gate.inside.Load(), len(gate.turn))
	}
}
