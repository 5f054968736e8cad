package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"elementum.example/torrent"
)

// config is what the command line says.
type config struct {
	listen           string
	hosts            []string
	token            string
	allowPrivateURLs bool
	demo             bool
	version          bool
	peerListen       string
	memoryLimit      int64
	downloadLimit    int64
	uploadLimit      int64
	storage          torrent.StorageKind
	savePath         string
	streamIdle       time.Duration
	maxStreams       int
	trustedProxies   []netip.Prefix
	settings         torrent.Settings
	sources          []string
	// Where it really listens.
	addr netip.AddrPort
}

const (
	defaultMemory = 64 << 20
	// Half of the clip: pieces leave it and come again.
	demoMemory = 2 << 20
)

func parseConfig(args []string, output io.Writer) (*config, error) {
	// No size is less than 0: nobody has set it then.
	config := &config{settings: torrent.Settings{}, memoryLimit: -1}
	flags := flag.NewFlagSet("elementum-stream", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.Usage = func() {
		fmt.Fprint(output, "usage: elementum-stream [flags] [magnet link | torrent file | address of a torrent file]...\n\n")
		flags.PrintDefaults()
	}
	flags.StringVar(&config.listen, "listen", "127.0.0.1:8097", "`address` of the page and the API; port 0 takes any")
	flags.Func("host", "a further `name` that requests may call this host by; may be repeated", func(name string) error {
		if name == "" {
			return errors.New("a name is wanted")
		}
		config.hosts = append(config.hosts, strings.ToLower(name))
		return nil
	})
	flags.StringVar(&config.token, "token", "", "what requests must know; made and printed where it is needed and missing. Browsers are asked for it again after a restart")
	flags.BoolVar(&config.allowPrivateURLs, "allow-private-urls", false,
		"let requests name torrent files in the local network (arguments always may)")
	flags.BoolVar(&config.version, "version", false, "print the version and end")
	flags.BoolVar(&config.demo, "demo", false, "add a clip, and a peer in this process that has it; no DHT")
	flags.StringVar(&config.peerListen, "peer-listen", "", "`addresses` for peers, such as 0.0.0.0:6881,[::]:6881")
	sizeVar(flags, &config.memoryLimit, "memory", "payload in memory, at most: a `size` (default 64MiB; with -demo 2MiB, to see it at work)")
	sizeVar(flags, &config.downloadLimit, "download-limit", "a `size` a second; 0: no limit")
	sizeVar(flags, &config.uploadLimit, "upload-limit", "a `size` a second; 0: no limit")
	kind := flags.String("storage", "memory", "where pieces live: memory or disk")
	flags.StringVar(&config.savePath, "dir", "", "the `directory` of disk storage")
	flags.DurationVar(&config.streamIdle, "stream-idle", 10*time.Minute, "how long a stream may stand still until it is ended")
	flags.IntVar(&config.maxStreams, "max-streams", 128, "how many streams may be open at once, idle ones too; one more gets 503. Memory may allow fewer")
	flags.Func("trusted-proxy", "an `address` or network whose X-Forwarded-For and X-Forwarded-Proto are believed; may be repeated", config.trust)
	flags.Func("proxy", "go out by this proxy and in no other way: `scheme://user:password@host:port`, of socks4, socks5 or http; the DHT rests then", config.useProxy)
	flags.Func("set", "a further setting of the session, `name=value`; may be repeated", config.set)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	config.sources = flags.Args()
	if config.memoryLimit < 0 {
		config.memoryLimit = defaultMemory
		if config.demo {
			config.memoryLimit = demoMemory
		}
	}
	if config.listen == "" {
		return nil, errors.New("-listen needs an address")
	}
	switch *kind {
	case "memory":
		config.storage = torrent.StorageMemory
	case "disk":
		config.storage = torrent.StorageDisk
		if config.savePath == "" {
			return nil, errors.New("-storage disk needs -dir")
		}
	default:
		return nil, fmt.Errorf("-storage %q is neither memory nor disk", *kind)
	}
	for _, limit := range []int64{config.downloadLimit, config.uploadLimit} {
		if limit > math.MaxUint32 {
			return nil, fmt.Errorf("a limit of %d bytes a second is more than %d", limit, uint32(math.MaxUint32))
		}
	}
	if config.streamIdle <= 0 {
		return nil, errors.New("-stream-idle must be more than 0")
	}
	// The rest of the connections is for those who ask for something else.
	if config.maxStreams < 1 || config.maxStreams > maxConnections/2 {
		return nil, fmt.Errorf("-max-streams %d is not from 1 to %d", config.maxStreams, maxConnections/2)
	}
	return config, nil
}

// trust takes the address of a proxy, or the network that it is in.
func (c *config) trust(text string) error {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, failed := netip.ParseAddr(text)
		if failed != nil {
			return fmt.Errorf("%q is neither an address nor a network", text)
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	c.trustedProxies = append(c.trustedProxies, prefix.Masked())
	return nil
}

// trusts tells whether what a proxy at the address says is believed.
func (c *config) trusts(address netip.Addr) bool {
	for _, prefix := range c.trustedProxies {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// set takes a setting in the type that it has.
func (c *config) set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("name=value is wanted")
	}
	for known := range torrent.DescribeSettings() {
		if known.Name != name {
			continue
		}
		var err error
		switch known.Default.(type) {
		case bool:
			c.settings[name], err = strconv.ParseBool(value)
		case string:
			c.settings[name] = value
		default:
			c.settings[name], err = strconv.ParseInt(value, 10, 64)
		}
		return err
	}
	return fmt.Errorf("no setting is called %q", name)
}

// bound takes the address that was really taken. Whoever is not on this machine must know a token.
func (c *config) bound(addr net.Addr) error {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return err
	}
	c.addr = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if c.token == "" && !c.addr.Addr().IsLoopback() {
		c.token = rand.Text()
	}
	return nil
}

// address is the page's, as people on this machine may open it.
func (c *config) address() string {
	if c.addr.Addr().IsUnspecified() {
		// Go listens on both families then.
		return c.addressAt(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return c.addressAt(c.addr.Addr())
}

func (c *config) addressAt(host netip.Addr) string {
	at := netip.AddrPortFrom(host, c.addr.Port())
	address := url.URL{Scheme: "http", Host: at.String(), Path: "/"}
	if c.token != "" {
		address.RawQuery = url.Values{"token": {c.token}}.Encode()
	}
	return address.String()
}

func sizeVar(flags *flag.FlagSet, into *int64, name, usage string) {
	flags.Func(name, usage, func(text string) (err error) {
		*into, err = parseSize(text)
		return err
	})
}

var sizeUnits = map[string]float64{
	"": 1, "b": 1,
	"k": 1e3, "kb": 1e3, "kib": 1 << 10,
	"m": 1e6, "mb": 1e6, "mib": 1 << 20,
	"g": 1e9, "gb": 1e9, "gib": 1 << 30,
	"t": 1e12, "tb": 1e12, "tib": 1 << 40,
}

// parseSize reads 67108864, 64MiB, 1.5GB, 600k.
func parseSize(text string) (int64, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz ")
	unit, known := sizeUnits[strings.TrimSpace(text[len(digits):])]
	number, err := strconv.ParseFloat(digits, 64)
	size := number * unit
	// A part of a byte would be cut to 0, which is no limit to some flags.
	if err != nil || !known || !(size == 0 || size >= 1 && size <= 1<<46) {
		return 0, fmt.Errorf("%q is no size such as 64MiB", text)
	}
	return int64(size), nil
}
