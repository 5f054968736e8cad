package torrent

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"elementum.example/torrent/internal/capi"
)

// A Reader is a position in one file of a torrent. What it will need next is fetched first, and kept.
//
// It is an [io.ReadSeekCloser], [io.ReaderAt] and [io.WriterTo], and what [net/http.ServeContent] wants. A read that waits holds no thread: its
// goroutine is parked in Go's poller. The position is for one goroutine at a time: a second Read or Seek meanwhile gets [ErrBusy]. ReadAt,
// Close and the rest may come from any goroutine at any time.
type Reader struct {
	torrent *Torrent
	file    FileIndex
	size    int64
	// Of WithReadTimeout, a time.Duration.
	timeout atomic.Int64
	// What reads without a context of their own end with; nil: nothing.
	ctx context.Context
	raw *capi.Reader
	// Somebody reads or seeks.
	busy  atomic.Bool
	ready readiness

	// Readers for ReadAt: each waits on its own descriptor.
	aside struct {
		sync.Mutex
		idle   []*asideReader
		all    map[*asideReader]struct{}
		closed bool
	}
}

// readiness is the waiter of a reader, made when it is waited for the first time.
type readiness struct {
	sync.Mutex
	waiter *waiter
	closed bool
}

// A ReaderOption changes how a reader reads. One that is given means what it says: 0 is none. What is not given is as the library
// sees fit. A negative number is refused. Nil is no option.
type ReaderOption func(*readerOptions)

type readerOptions struct {
	raw     capi.ReaderOptions
	timeout time.Duration
	ctx     context.Context
	// The call that they are given to, and the first of them that cannot be.
	op    string
	fault error
}

// chooseOptions makes one set of all that are given.
func chooseOptions(op string, options []ReaderOption) (*readerOptions, error) {
	chosen := &readerOptions{op: op}
	for _, option := range options {
		if option != nil {
			option(chosen)
		}
	}
	if chosen.raw.End > 0 && chosen.raw.End <= chosen.raw.Offset {
		chosen.refuse("from byte %d to byte %d is no range", chosen.raw.Offset, chosen.raw.End)
	}
	return chosen, chosen.fault
}

// bytes takes what an option was given into one of C's fields, where 0 means the default.
func (o *readerOptions) bytes(option string, bytes int64, into *uint64) {
	switch {
	case bytes < 0:
		o.refuse("%s: %d bytes, allowed is 0 and above", option, bytes)
	case bytes == 0:
		*into = capi.ReaderNone
	default:
		*into = uint64(bytes)
	}
}

func (o *readerOptions) refuse(format string, args ...any) {
	if o.fault == nil {
		o.fault = invalid(o.op, format, args...)
	}
}

// WithContext ends the reader's reads with the context: Read, ReadAt and WriteTo that wait when it ends return its cause, and later ones
// do not begin. It is for what calls a reader without a context, as [net/http.ServeContent] does: with the request's context a client that
// leaves ends the read, and so its handler. Close the reader all the same. ReadContext and ReadAtContext go by the context they are given.
func WithContext(ctx context.Context) ReaderOption {
	return func(o *readerOptions) { o.ctx = ctx }
}

// WithOffset is where the reader begins, bytes from the file's start. What is there is fetched first, and nothing at the start for it. An
// offset that is not in the file is [ErrInvalidArgument]; its end is.
func WithOffset(offset int64) ReaderOption {
	return func(o *readerOptions) {
		if offset < 0 {
			o.refuse("WithOffset: %d bytes, allowed is 0 and above", offset)
			return
		}
		o.raw.Offset = uint64(offset)
	}
}

// WithEnd is where the caller will stop reading, bytes from the file's start. Nothing from there on is fetched ahead, and nothing is pinned
// but what [WithPins] names: a reader for a short range fetches the pieces of that range. It is no end of the file: who reads on all the
// same waits for what he reads. 0 and what is behind the file's end are the file's end; else it is greater than the offset.
func WithEnd(end int64) ReaderOption {
	return func(o *readerOptions) {
		if end < 0 {
			o.refuse("WithEnd: %d bytes, allowed is 0 and above", end)
			return
		}
		o.raw.End = uint64(end)
	}
}

// WithLookahead is how many bytes ahead of the position to fetch. Without it: what the memory limit allows.
//
// A reader starts small: two pieces, until so much was read in one run that it is no probe (512 KiB, or a piece where that is less). One that
// is not read stays there. Who wants a buffer filled before he plays calls [Reader.Prebuffer], and does not wait for the lookahead.
func WithLookahead(bytes int64) ReaderOption {
	return func(o *readerOptions) { o.bytes("WithLookahead", bytes, &o.raw.Lookahead) }
}

// WithLookbehind is how many bytes behind the position to keep, 0: none. Without it: a share of the memory, see the setting
// "reader_lookbehind_percent".
func WithLookbehind(bytes int64) ReaderOption {
	return func(o *readerOptions) { o.bytes("WithLookbehind", bytes, &o.raw.Lookbehind) }
}

// WithBitrate is the bytes a second at which the file plays. With it each piece has its time. Without it, or with 0, it is learned.
func WithBitrate(bytes int64) ReaderOption {
	return func(o *readerOptions) {
		if bytes < 0 {
			o.refuse("WithBitrate: %d bytes a second, allowed is 0 and above", bytes)
			return
		}
		o.raw.Bitrate = uint64(bytes)
	}
}

// WithPins are the bytes at the file's start and end to fetch at once and keep while the reader is open, 0: none. Containers have their
// index there. Without it: one piece each, 8 MiB at most.
func WithPins(head, tail int64) ReaderOption {
	return func(o *readerOptions) {
		o.bytes("WithPins: head", head, &o.raw.Pin_head)
		o.bytes("WithPins: tail", tail, &o.raw.Pin_tail)
	}
}

// InBackground makes the reader come after those that play: for what will play next. Where they leave no memory, a read
// of it has some after half a minute.
func InBackground() ReaderOption {
	return func(o *readerOptions) { o.raw.Flags |= capi.ReaderBackground }
}

// Unverified makes the reader give bytes before their piece is whole and verified: faster, and possibly wrong.
func Unverified() ReaderOption {
	return func(o *readerOptions) { o.raw.Flags |= capi.ReaderUnverified }
}

// WithReadTimeout bounds each Read and ReadAt that has no context of its own: [ErrTimedOut] after that long. 0, and without it: no
// bound.
func WithReadTimeout(timeout time.Duration) ReaderOption {
	return func(o *readerOptions) {
		if timeout < 0 {
			o.refuse("WithReadTimeout: %v, allowed is 0 and above", timeout)
			return
		}
		o.timeout = timeout
	}
}

// NewReader opens a reader on a file, at its start or where [WithOffset] says. Fetching begins at once, and there. Close it.
//
// A torrent may have many readers; a paused one's wait until it runs. Errors: [ErrNoMetadata], [ErrInvalidArgument] for no such file and
// for options that cannot be.
func (t *Torrent) NewReader(file FileIndex, options ...ReaderOption) (*Reader, error) {
	const op = "Torrent.NewReader"
	chosen, fault := chooseOptions(op, options)
	if fault != nil {
		return nil, fault
	}
	s, index := t.raw()
	raw, err := s.OpenReader(index, int32(file), &chosen.raw)
	if err != nil {
		return nil, wrap(op, err)
	}
	size, err := raw.Size()
	if err != nil {
		raw.Close()
		return nil, wrap(op, err)
	}
	r := &Reader{torrent: t, file: file, size: int64(size), ctx: chosen.ctx, raw: raw}
	r.timeout.Store(int64(chosen.timeout))
	return r, nil
}

// SetOptions gives the reader other options, as if it had been opened with them where it stands: one that was [InBackground] plays from now
// on, or looks further ahead. They are all of them, not the changes alone; none: the defaults. A Prebuffer is over. Errors:
// [ErrInvalidArgument] for options that cannot be, and where [Unverified] is not as it was. Of these, WithOffset and WithContext count at the opening alone.
func (r *Reader) SetOptions(options ...ReaderOption) error {
	const op = "Reader.SetOptions"
	chosen, fault := chooseOptions(op, options)
	if fault != nil {
		return fault
	}
	if err := r.raw.SetOptions(&chosen.raw); err != nil {
		return wrap(op, err)
	}
	r.timeout.Store(int64(chosen.timeout))
	return nil
}

// Torrent is the reader's torrent.
func (r *Reader) Torrent() *Torrent { return r.torrent }

// File is the reader's file.
func (r *Reader) File() FileIndex { return r.file }

// Size is the bytes of the reader's file.
func (r *Reader) Size() int64 { return r.size }

// ID is the number by which alerts name the reader.
func (r *Reader) ID() (uint64, error) {
	id, err := r.raw.ID()
	return id, wrap("Reader.ID", err)
}

// Close ends the reader: reads that wait return, and what it wanted is not fetched for it any more. Closing again, or nil, does nothing.
func (r *Reader) Close() error {
	if r == nil {
		return nil
	}
	r.raw.Close()
	r.ready.close()
	r.aside.Lock()
	r.aside.closed = true
	all := r.aside.all
	r.aside.idle, r.aside.all = nil, nil
	r.aside.Unlock()
	for reader := range all {
		reader.close()
	}
	return nil
}

// Read reads from the position on, and moves it: what is there, at least one byte, waiting where nothing is. [io.EOF] at the end.
// Where an error stopped the torrent ([Torrent.Err]), a read of what is not there ends with that error, until it is resumed.
func (r *Reader) Read(into []byte) (int, error) {
	return r.readOnce("Reader.Read", into)
}

// ReadContext is Read that ends with the context, too: with its cause. Nothing was consumed then, and into is not touched any more.
func (r *Reader) ReadContext(ctx context.Context, into []byte) (int, error) {
	return r.read(ctx, "Reader.ReadContext", into)
}

func (r *Reader) read(ctx context.Context, op string, into []byte) (int, error) {
	ctx = orBackground(ctx)
	if err := r.takeTurn(op); err != nil {
		return 0, err
	}
	defer r.busy.Store(false)
	return readWaiting(ctx, op, r.raw, &r.ready, into)
}

// takeTurn is for who moves the position. He gives it back by setting busy to false.
func (r *Reader) takeTurn(op string) error {
	if !r.busy.CompareAndSwap(false, true) {
		return &Error{Op: op, Code: ErrBusy, Message: "another goroutine reads or seeks"}
	}
	return nil
}

// bounded is a context for what has none.
func (r *Reader) bounded() (context.Context, context.CancelFunc) {
	ctx := orBackground(r.ctx)
	timeout := time.Duration(r.timeout.Load())
	if timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

const dataTooLate = "the data did not come in time"

// readWaiting reads at the position of a reader, and waits where there is nothing.
func readWaiting(ctx context.Context, op string, raw *capi.Reader, ready *readiness, into []byte) (int, error) {
	if ctx.Err() != nil {
		return 0, waitError(ctx, op, dataTooLate)
	}
	n, err := raw.Read(into)
	if err == nil || err.Status != capi.ErrWouldBlock {
		return n, wrap(op, err)
	}
	return waitToRead(ctx, op, raw, ready, into)
}

// waitToRead is by itself, so that a read that need not wait makes no garbage.
func waitToRead(ctx context.Context, op string, raw *capi.Reader, ready *readiness, into []byte) (n int, fault error) {
	waiter, failed := ready.open(op, raw)
	if failed != nil {
		return 0, failed
	}
	var err *capi.Error
	ended := waiter.wait(ctx, func() bool {
		n, err = raw.Read(into)
		return err == nil || err.Status != capi.ErrWouldBlock
	})
	if ended != nil {
		return 0, endOfWait(ctx, op, ended, dataTooLate)
	}
	return n, wrap(op, err)
}

// open makes the waiter, unless the reader is closed.
func (r *readiness) open(op string, raw *capi.Reader) (*waiter, error) {
	r.Lock()
	defer r.Unlock()
	if r.closed {
		return nil, closedError(op)
	}
	if r.waiter == nil {
		fd, err := raw.FD()
		if err != nil {
			return nil, wrap(op, err)
		}
		waiter, failed := newWaiter(fd)
		if failed != nil {
			return nil, waiterError(op, failed)
		}
		r.waiter = waiter
	}
	return r.waiter, nil
}

func (r *readiness) close() {
	r.Lock()
	defer r.Unlock()
	if r.waiter != nil && !r.closed {
		r.waiter.close()
	}
	r.closed = true
}

// Seek moves the position. What is fetched follows at once. The end of the file is allowed, beyond it is not.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	const op = "Reader.Seek"
	if err := r.takeTurn(op); err != nil {
		return 0, err
	}
	defer r.busy.Store(false)
	if whence < io.SeekStart || whence > io.SeekEnd {
		return 0, invalid(op, "whence is %d, allowed is %d to %d", whence, io.SeekStart, io.SeekEnd)
	}
	position, err := r.raw.SeekTo(offset, int32(whence))
	return int64(position), wrap(op, err)
}

// ReadAt reads from an offset in the file on until into is full, the file ends, or something fails; it moves no position. While it
// waits, what it waits for is fetched first. Several goroutines may do this at once, and while another reads.
func (r *Reader) ReadAt(into []byte, offset int64) (int, error) {
	ctx, cancel := r.bounded()
	defer cancel()
	return r.readAt(ctx, "Reader.ReadAt", into, offset)
}

// ReadAtContext is ReadAt that ends with the context, too: with its cause.
func (r *Reader) ReadAtContext(ctx context.Context, into []byte, offset int64) (int, error) {
	return r.readAt(ctx, "Reader.ReadAtContext", into, offset)
}

func (r *Reader) readAt(ctx context.Context, op string, into []byte, offset int64) (int, error) {
	ctx = orBackground(ctx)
	if offset < 0 {
		return 0, invalid(op, "offset %d is out of range: the file has %d bytes", offset, r.size)
	}
	done := 0
	for done < len(into) {
		if ctx.Err() != nil {
			return done, waitError(ctx, op, dataTooLate)
		}
		n, err := r.raw.ReadAt(uint64(offset)+uint64(done), into[done:])
		if err == nil {
			done += n
			continue
		}
		if err.Status != capi.ErrWouldBlock {
			return done, wrap(op, err)
		}
		waited, failed := r.readAside(ctx, op, into[done:], offset+int64(done))
		done += waited
		if failed != nil {
			return done, failed
		}
	}
	return done, nil
}

// An asideReader is a reader beside the one whose position must stay, for a ReadAt that waits.
type asideReader struct {
	raw   *capi.Reader
	ready readiness
}

func (a *asideReader) close() {
	a.raw.Close()
	a.ready.close()
}

// So many of them stay for the next ReadAt.
const idleAside = 4

func (r *Reader) readAside(ctx context.Context, op string, into []byte, offset int64) (int, error) {
	reader, err := r.takeAside(op, offset)
	if err != nil {
		return 0, err
	}
	defer r.giveAside(reader)
	if _, failed := reader.raw.SeekTo(offset, capi.SeekSet); failed != nil {
		return 0, wrap(op, failed)
	}
	return readWaiting(ctx, op, reader.raw, &reader.ready, into)
}

// takeAside opens it at the offset, where there is none to be had: one that began at the file's start would fetch that first.
func (r *Reader) takeAside(op string, offset int64) (*asideReader, error) {
	r.aside.Lock()
	defer r.aside.Unlock()
	if r.aside.closed {
		return nil, closedError(op)
	}
	if last := len(r.aside.idle) - 1; last >= 0 {
		reader := r.aside.idle[last]
		r.aside.idle = r.aside.idle[:last]
		return reader, nil
	}
	// It wants the place it waits for, and nothing else.
	only := capi.ReaderOptions{
		Offset:     uint64(offset),
		Lookahead:  capi.ReaderNone,
		Lookbehind: capi.ReaderNone,
		Pin_head:   capi.ReaderNone,
		Pin_tail:   capi.ReaderNone,
	}
	s, index := r.torrent.raw()
	raw, err := s.OpenReader(index, int32(r.file), &only)
	if err != nil {
		return nil, wrap(op, err)
	}
	reader := &asideReader{raw: raw}
	if r.aside.all == nil {
		r.aside.all = map[*asideReader]struct{}{}
	}
	r.aside.all[reader] = struct{}{}
	return reader, nil
}

func (r *Reader) giveAside(reader *asideReader) {
	// At the end of the file it wants nothing.
	_, _ = reader.raw.SeekTo(0, capi.SeekEnd)
	r.aside.Lock()
	keep := !r.aside.closed && len(r.aside.idle) < idleAside
	if keep {
		r.aside.idle = append(r.aside.idle, reader)
	} else {
		delete(r.aside.all, reader)
	}
	r.aside.Unlock()
	if !keep {
		reader.close()
	}
}

// readOnce is Read, by the name of the call that it is part of.
func (r *Reader) readOnce(op string, into []byte) (int, error) {
	ctx, cancel := r.bounded()
	defer cancel()
	return r.read(ctx, op, into)
}

// The buffer of WriteTo.
const writeBuffer = 256 << 10

var writeBuffers = sync.Pool{New: func() any { return new([writeBuffer]byte) }}

// WriteTo writes all from the position on to w.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	buffer := writeBuffers.Get().(*[writeBuffer]byte)
	defer writeBuffers.Put(buffer)
	var written int64
	for {
		n, err := r.readOnce("Reader.WriteTo", buffer[:])
		if n > 0 {
			m, failed := w.Write(buffer[:n])
			written += int64(m)
			if failed != nil {
				return written, failed
			}
			if m < n {
				return written, io.ErrShortWrite
			}
		}
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
	}
}

// Prebuffer fetches the file's first head bytes and last tail bytes before anything else of it, wherever the position is, and keeps
// them while the reader is open: in memory as far as a quarter of the reader's share of the limit goes, half of it for each end where
// both want more. How far it is, Status and a [PrebufferProgress] tell.
func (r *Reader) Prebuffer(head, tail int64) error {
	if head < 0 || tail < 0 {
		return invalid("Reader.Prebuffer", "a head of %d and a tail of %d bytes, allowed is 0 and above", head, tail)
	}
	return wrap("Reader.Prebuffer", r.raw.Prebuffer(uint64(head), uint64(tail)))
}

// ReaderStatus is a reader at one moment.
type ReaderStatus struct {
	StorageIndex StorageIndex
	File         FileIndex
	// Opened InBackground; a read waits.
	Background, Waiting bool
	// Bytes: the position, and the file.
	Position, Size int64
	// Bytes that can be read without waiting, from the position on and back from it, without a gap.
	BufferedAhead, BufferedBehind int64
	// What is fetched and kept now: bytes from the file's start.
	WindowBegin, WindowEnd int64
	// Bytes that it may look ahead and behind.
	Lookahead, Lookbehind int64
	// How often a read had to wait, and how long in all.
	Stalls    uint64
	StallTime time.Duration
	// From the opening to the first byte, and of the last seek; negative: not yet.
	TimeToFirstByte, LastSeekLatency time.Duration
	BytesRead, Seeks                 uint64
	// Bytes a second: as it was told, else as it was learned from what is read while nothing keeps the caller waiting; 0: unknown.
	Bitrate int64
	// Bytes of the last Prebuffer.
	PrebufferDone, PrebufferTotal int64
	// Bytes that came though a seek had taken them back (of this reader, or the close of one that read the same file before), and bytes of its
	// window that came twice.
	WastedBytes, DuplicateBytes uint64
}

// Status gives the reader's position, window, buffer and stalls.
func (r *Reader) Status() (ReaderStatus, error) {
	var raw capi.ReaderStatusInfo
	if err := r.raw.Status(&raw); err != nil {
		return ReaderStatus{}, wrap("Reader.Status", err)
	}
	return ReaderStatus{
		StorageIndex:    StorageIndex(raw.Torrent),
		File:            FileIndex(raw.File),
		Background:      raw.Background != 0,
		Waiting:         raw.Waiting != 0,
		Position:        int64(raw.Position),
		Size:            int64(raw.Size),
		BufferedAhead:   int64(raw.Buffered_ahead),
		BufferedBehind:  int64(raw.Buffered_behind),
		WindowBegin:     int64(raw.Window_begin),
		WindowEnd:       int64(raw.Window_end),
		Lookahead:       int64(raw.Lookahead),
		Lookbehind:      int64(raw.Lookbehind),
		Stalls:          raw.Stalls,
		StallTime:       microseconds(int64(raw.Stall_time_us)),
		TimeToFirstByte: microseconds(raw.Time_to_first_byte_us),
		LastSeekLatency: microseconds(raw.Last_seek_latency_us),
		BytesRead:       raw.Bytes_read,
		Seeks:           raw.Seeks,
		Bitrate:         int64(raw.Bitrate),
		PrebufferDone:   int64(raw.Prebuffer_done),
		PrebufferTotal:  int64(raw.Prebuffer_total),
		WastedBytes:     raw.Wasted_bytes,
		DuplicateBytes:  raw.Duplicate_bytes,
	}, nil
}

func microseconds(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
