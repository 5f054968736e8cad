package main

import (
	"net/netip"
	"testing"

	"elementum.example/torrent"
)

func TestAPeersWay(t *testing.T) {
	at := netip.MustParseAddrPort("[2001:db8::1]:6881")
	for want, peer := range map[string]torrent.Peer{
		"[2001:db8::1]:6881 none":     {Endpoint: at},
		"[2001:db8::1]:6881 rc4":      {Endpoint: at, Flags: torrent.PeerFlagRC4Encrypted},
		"peer.example:6881 handshake": {Endpoint: netip.AddrPortFrom(netip.Addr{}, 6881), Host: "peer.example", Flags: torrent.PeerFlagPlaintextEncrypted},
	} {
		if got := peerAddress(peer) + " " + encryption(peer.Flags); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
