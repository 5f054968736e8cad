package capi

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestATurnstileLetsSoManyIn(t *testing.T) {
	const most, all, times = 3, 200, 500
	gate := newTurnstile(most, time.Minute)
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
	if gate.inside.Load() != 0 || gate.waiting.Load() != 0 || len(gate.line) != 0 {
		t.Errorf("%d are still in, %d wait", gate.inside.Load(), gate.waiting.Load())
	}
}

// Calls that hang keep others out for a moment only; when they have ended, no more are let in than before.
func TestATurnstileGoesOnBesideCallsThatHang(t *testing.T) {
	const most, patience = 4, 50 * time.Millisecond
	gate := newTurnstile(most, patience)
	for range most {
		gate.enter()
	}
	begin := time.Now()
	gate.enter()
	if took := time.Since(begin); took < patience {
		t.Errorf("one more was let in after %v", took)
	}
	gate.leave()
	// From now on it takes no time.
	begin = time.Now()
	for range 1000 {
		gate.enter()
		gate.leave()
	}
	if took := time.Since(begin); took > 10*patience {
		t.Errorf("a thousand took %v beside those that hang", took)
	}
	for range most {
		gate.leave()
	}
	if gate.most.Load() != most || gate.inside.Load() != 0 {
		t.Errorf("%d may be in, %d are", gate.most.Load(), gate.inside.Load())
	}
}

// As long as calls move, however slowly, so many are in.
func TestATurnstileThatMovesIsPatient(t *testing.T) {
	const most, patience = 2, 40 * time.Millisecond
	gate := newTurnstile(most, patience)
	var inside, greatest atomic.Int64
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			gate.enter()
			if now := inside.Add(1); now > greatest.Load() {
				greatest.Store(now)
			}
			time.Sleep(time.Duration(1+i%2) * patience / 8)
			inside.Add(-1)
			gate.leave()
		})
	}
	group.Wait()
	if greatest.Load() > most {
		t.Errorf("%d at once", greatest.Load())
	}
}
