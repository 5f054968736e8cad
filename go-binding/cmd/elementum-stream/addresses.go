package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
)

// So many addresses are printed; machines with many containers have hundreds.
const maxPrinted = 16

// announce prints where the page is: on this machine first, and, where it listens on all addresses, for the others in the network.
func announce(stdout io.Writer, config *config) {
	text := "listening on " + config.address() + "\n"
	if config.addr.Addr().IsUnspecified() {
		interfaces, err := net.InterfaceAddrs()
		if err == nil {
			for _, host := range reachable(interfaces, config.addr.Addr().Is6()) {
				text += "from other devices: " + config.addressAt(host) + "\n"
			}
		}
	}
	// In one piece: who reads along gets all of it.
	fmt.Fprint(stdout, text)
}

// reachable are the addresses that a browser on another device may open, those of the local network first. Link-local ones need a zone,
// which differs from device to device.
func reachable(interfaces []net.Addr, six bool) []netip.Addr {
	var hosts []netip.Addr
	for _, at := range interfaces {
		network, ok := at.(*net.IPNet)
		if !ok {
			continue
		}
		host, ok := netip.AddrFromSlice(network.IP)
		host = host.Unmap()
		if !ok || host.IsLoopback() || host.IsLinkLocalUnicast() || !host.IsGlobalUnicast() || host.Is6() && !six {
			continue
		}
		hosts = append(hosts, host)
	}
	slices.SortStableFunc(hosts, func(a, b netip.Addr) int { return order(a) - order(b) })
	return hosts[:min(len(hosts), maxPrinted)]
}

func order(host netip.Addr) int {
	switch {
	case host.Is4() && host.IsPrivate():
		return 0
	case host.Is4():
		return 1
	}
	return 2
}
