package capi

import (
	"runtime"
	"sync/atomic"
)

// A lease counts the calls under way on a handle, so that it is freed after the last of them and not before.
//
// The owner holds one count from the beginning. Once it is closed the count is negative, and nobody gets in.
type lease struct {
	count atomic.Int64
	freed atomic.Bool
	free  func()
}

// What closing adds to the count: far below what callers can make up for.
const closedBias = -1 << 62

func (l *lease) open(free func()) {
	l.free = free
	l.count.Store(1)
}

// enter is the start of a call. False: the handle is closed.
func (l *lease) enter() bool {
	if l.count.Add(1) > 0 {
		return true
	}
	l.leave()
	return false
}

// leave is the end of a call. The last one of a closed handle frees it.
func (l *lease) leave() {
	if l.count.Add(-1) == closedBias && l.freed.CompareAndSwap(false, true) {
		l.free()
	}
}

// end lets nobody in any more. False: it was ended before.
func (l *lease) end() bool {
	for {
		count := l.count.Load()
		if count < 0 {
			return false
		}
		if l.count.CompareAndSwap(count, count+closedBias) {
			l.leave()
			return true
		}
	}
}

// watch counts a handle, and is the net under it: one that is collected before anybody closed it is freed all the same.
func watch[T any](handle *T, what string, free func()) runtime.Cleanup {
	live.Add(1)
	lost := opened(what)
	return runtime.AddCleanup(handle, func(free func()) {
		lost()
		leaked.Add(1)
		// Not on the goroutine of the cleanups: it may take a while.
		go free()
	}, free)
}
