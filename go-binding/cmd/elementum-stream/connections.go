package main

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// limitListener lets at most so many connections be open, and of one address three quarters of them. One more takes the place of the one that
// has asked for nothing for the longest time: connections that are merely held keep nobody out. Where all are being answered, it is
// closed at once.
func limitListener(listener net.Listener, most int) net.Listener {
	return &limitedListener{Listener: listener, most: most, mostEach: most - most/4, open: map[*limitedConn]struct{}{}, each: map[netip.Addr]int{}}
}

type limitedListener struct {
	net.Listener
	most, mostEach int

	mu    sync.Mutex
	clock uint64
	open  map[*limitedConn]struct{}
	each  map[netip.Addr]int
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		limited := &limitedConn{Conn: conn, owner: l, address: remoteOf(conn.RemoteAddr())}
		victim, ok := l.enter(limited)
		if victim != nil {
			victim.Close()
		}
		if ok {
			return limited, nil
		}
		conn.Close()
	}
}

// enter finds a place for a connection: a free one, or that of another, who then has to go.
func (l *limitedListener) enter(conn *limitedConn) (victim *limitedConn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.each[conn.address] >= l.mostEach:
		victim = l.idlest(func(c *limitedConn) bool { return c.address == conn.address })
	case len(l.open) >= l.most:
		victim = l.idlest(func(c *limitedConn) bool { return true })
	default:
		l.add(conn)
		return nil, true
	}
	if victim == nil {
		return nil, false
	}
	l.remove(victim)
	l.add(conn)
	return victim, true
}

// idlest is the one, of those that are not being answered, that has been so for the longest time.
func (l *limitedListener) idlest(among func(*limitedConn) bool) (found *limitedConn) {
	for c := range l.open {
		if !c.busy && among(c) && (found == nil || c.since < found.since) {
			found = c
		}
	}
	return found
}

func (l *limitedListener) add(c *limitedConn) {
	l.clock++
	c.since = l.clock
	l.open[c] = struct{}{}
	l.each[c.address]++
}

func (l *limitedListener) remove(c *limitedConn) {
	if _, ok := l.open[c]; !ok {
		return
	}
	delete(l.open, c)
	if l.each[c.address]--; l.each[c.address] == 0 {
		delete(l.each, c.address)
	}
}

type limitedConn struct {
	net.Conn
	owner   *limitedListener
	address netip.Addr

	// Of the owner's lock: a request of it is being answered; when that ended.
	busy  bool
	since uint64
}

func (c *limitedConn) Close() error {
	c.owner.mu.Lock()
	c.owner.remove(c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// connState is told by the server what its connections do.
func connState(conn net.Conn, state http.ConnState) {
	c, ok := conn.(*limitedConn)
	if !ok {
		return
	}
	c.owner.mu.Lock()
	defer c.owner.mu.Unlock()
	c.busy = state == http.StateActive
	c.owner.clock++
	c.since = c.owner.clock
}

// remoteOf is the address alone; all that have none share one.
func remoteOf(addr net.Addr) netip.Addr {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}
