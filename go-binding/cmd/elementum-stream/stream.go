package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"elementum.example/torrent"
)

const (
	// What is wrong is said with a status instead of an empty stream, where it shows within this time.
	firstByteWait = 3 * time.Second
	firstBytes    = 32 << 10
	// How often a read that waits looks whether its torrent stopped. The alert of it may be lost.
	errorCheck = 5 * time.Second
)

// stream serves a file, or ranges of it, while it downloads.
func (s *service) stream(w http.ResponseWriter, r *http.Request) {
	target, err := s.torrentOf(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	if err := s.waitMetadata(w, r, target); err != nil {
		fail(w, r, err)
		return
	}
	info, err := target.Info()
	if err != nil {
		fail(w, r, err)
		return
	}
	file, err := s.fileOf(target, r)
	if err != nil {
		fail(w, r, err)
		return
	}
	header := w.Header()
	kind := mediaOf(file.Path)
	header.Set("Content-Type", kind.contentType)
	if kind.kind == kindOther {
		header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": nameOf(file)}))
	}
	header.Set("Accept-Ranges", "bytes")
	// A file of a torrent never changes.
	etag := fmt.Sprintf(`"%s-%d"`, info.InfoHashes, file.Index)
	header.Set("ETag", etag)
	header.Set("Cache-Control", "private, no-cache")

	// A client's conditions come before its ranges: net/http answers them.
	bodiless := answeredByCondition(r, etag)
	ranges, err := rangesOf(r, etag, int64(file.Length))
	if err != nil && !bodiless {
		header.Set("Content-Range", fmt.Sprintf("bytes */%d", file.Length))
		fail(w, r, err)
		return
	}
	content := s.newContent(w, r, target, file, ranges)
	defer content.close()
	if err := content.admit(r, s.pieceCost(info)); err != nil {
		fail(w, r, err)
		return
	}
	if err := stoppedBy(target); err != nil {
		fail(w, r, err)
		return
	}
	if r.Method == http.MethodGet && !bodiless {
		err := content.begin()
		if err == nil {
			err = content.commit()
		}
		if err != nil {
			fail(w, r, err)
			return
		}
	}
	http.ServeContent(w, r, "", time.Time{}, content)
}

// answeredByCondition tells whether If-Match or If-None-Match is all that is answered. Where it errs a reader is opened that nobody reads,
// or later than it could be.
func answeredByCondition(r *http.Request, etag string) bool {
	names := func(header string) bool { return strings.TrimSpace(header) == "*" || strings.Contains(header, etag) }
	unless, only := r.Header.Get("If-None-Match"), r.Header.Get("If-Match")
	return unless != "" && names(unless) || only != "" && !names(only)
}

// stoppedBy is what stopped the torrent, nil where nothing did.
func stoppedBy(target *torrent.Torrent) error {
	err := target.Err()
	if errors.Is(err, torrent.ErrInvalidStorageIndex) {
		return errNoTorrent
	}
	if err != nil {
		return &failure{status: http.StatusInternalServerError, code: "torrent_error", message: "the torrent stopped: " + messageOf(err)}
	}
	return nil
}

// A content is a file for http.ServeContent. Its reader is opened at the place of the first read: what ServeContent seeks before, and
// a request for the head alone, fetch nothing.
type content struct {
	ctx     context.Context
	fail    context.CancelCauseFunc
	unhook  func() bool
	streams *streams
	torrent *torrent.Torrent
	file    torrent.File
	ranges  []byteRange
	agent   string
	remote  string
	// By what a client that comes again is known.
	key lineKey
	// When it, or what it is a new try of, began to stand in line for memory.
	since    time.Time
	idle     time.Duration
	written  *http.ResponseController
	started  time.Time
	admitted bool

	sent atomic.Uint64
	// Of the one that reads and seeks.
	position int64
	// What was read before there was a header, and where it begins.
	first      []byte
	firstBegin int64
	flushed    bool

	// Where it reads, for those who count the pieces in use.
	at atomic.Int64

	// Guards what close and the list of streams look at, too.
	mu     sync.Mutex
	reader *torrent.Reader
	// Where the reader is.
	readerAt int64
	closed   bool
	// There is a header, or will be now; nobody listens any more: writes end, too.
	begun, left bool
	// What came for its reader for nothing, as far as it was added up.
	wasted, duplicate uint64
}

func (s *service) newContent(w http.ResponseWriter, r *http.Request, target *torrent.Torrent, file torrent.File, ranges []byteRange) *content {
	c := &content{
		streams: s.streams,
		torrent: target,
		file:    file,
		ranges:  ranges,
		agent:   r.UserAgent(),
		remote:  r.RemoteAddr,
		key:     lineKey{s.clientOf(r), target.StorageIndex(), file.Index},
		idle:    s.config.streamIdle,
		written: http.NewResponseController(w),
	}
	if len(ranges) > 0 {
		c.at.Store(ranges[0].begin)
	}
	c.ctx, c.fail = context.WithCancelCause(r.Context())
	// A write to a client that does not read ends with the request, too.
	c.unhook = context.AfterFunc(c.ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.begun && r.Context().Err() == nil {
			// What ended it is still to be said.
			return
		}
		if c.left = true; !c.closed {
			_ = c.written.SetWriteDeadline(time.Unix(1, 0))
		}
	})
	return c
}

// admit takes a place among the streams, for a request that will read.
func (c *content) admit(r *http.Request, pieceCost uint64) error {
	if r.Method == http.MethodHead {
		return nil
	}
	c.started = time.Now()
	_ = c.written.SetWriteDeadline(c.started.Add(2*c.streams.lineWait + writeTimeout))
	if err := c.streams.enter(c.ctx, c, pieceCost); err != nil {
		return err
	}
	c.admitted = true
	return nil
}

// begin opens the reader and waits a little for its first bytes, as long as a status can say what is wrong.
func (c *content) begin() error {
	if c.file.Length == 0 {
		return nil
	}
	c.position = c.at.Load()
	c.firstBegin = c.position
	reader, err := c.open()
	if err != nil {
		return err
	}
	first := make([]byte, min(firstBytes, c.file.Length))
	if part := c.rangeAt(c.position); part != nil {
		first = first[:min(int64(len(first)), part.end-part.begin)]
	}
	n, err := c.readWithin(firstByteWait, reader, first)
	if err != nil && c.waitsForMemory() {
		// Its turn comes after those of others, and a new reader would be the last in that line again.
		n, err = c.readWithin(c.streams.lineWait, reader, first)
	}
	switch {
	case err == nil:
		c.first = first[:n]
		c.moved(int64(n))
		return nil
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	case !errors.Is(err, torrent.ErrTimedOut):
		return err
	}
	if c.waitsForMemory() {
		c.streams.sendBack(c)
		return errMemory
	}
	// It goes on waiting, and the client knows what it waits for.
	return stoppedBy(c.torrent)
}

func (c *content) readWithin(wait time.Duration, reader *torrent.Reader, into []byte) (int, error) {
	ctx, cancel := context.WithTimeout(c.ctx, min(wait, c.idle))
	defer cancel()
	return reader.ReadContext(ctx, into)
}

func (c *content) waitsForMemory() bool {
	why, ok := c.explanation()
	return ok && why.Reason == torrent.ReasonMemoryFull
}

// commit is the last moment at which a status can tell what ended the stream.
func (c *content) commit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
	return context.Cause(c.ctx)
}

// Read reads until the request's end. Client and swarm may each stand still for the idle time.
func (c *content) Read(into []byte) (int, error) {
	if ahead := c.position - c.firstBegin; ahead >= 0 && ahead < int64(len(c.first)) {
		n := copy(into, c.first[ahead:])
		c.position += int64(n)
		c.count(n)
		return n, nil
	}
	if c.position >= int64(c.file.Length) {
		return 0, io.EOF
	}
	reader, err := c.open()
	if err != nil {
		return 0, err
	}
	if len(c.first) == 0 && !c.flushed {
		// Who waits knows by the header that he is not waiting for one.
		c.flushed = true
		_ = c.written.Flush()
	}
	for until := time.Now().Add(c.idle); ; {
		n, err := reader.Read(into)
		if err == nil {
			c.moved(int64(n))
			c.position += int64(n)
			c.count(n)
			return n, nil
		}
		if !errors.Is(err, torrent.ErrTimedOut) || c.ctx.Err() != nil || !time.Now().Before(until) {
			return 0, err
		}
		if err := stoppedBy(c.torrent); err != nil {
			return 0, err
		}
	}
}

// moved notes that the reader gave so many bytes.
func (c *content) moved(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readerAt += n
	c.at.Store(c.readerAt)
}

// count notes that so many bytes go to the client, who has the idle time anew to take them.
func (c *content) count(n int) {
	c.sent.Add(uint64(n))
	c.streams.sent.Add(uint64(n))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.left {
		// Where it cannot be set, the server's own stays.
		_ = c.written.SetWriteDeadline(time.Now().Add(c.idle))
	}
}

// open is the reader at the position: the one that is there, else a new one. It fetches as far as the range goes that begins there.
func (c *content) open() (*torrent.Reader, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, torrent.ErrClosed
	}
	old := c.reader
	if old != nil && c.readerAt == c.position {
		c.mu.Unlock()
		return old, nil
	}
	c.mu.Unlock()
	options := []torrent.ReaderOption{
		torrent.WithContext(c.ctx),
		torrent.WithReadTimeout(min(errorCheck, c.idle)),
		torrent.WithOffset(c.position),
	}
	// Who goes on from the middle has seen head and tail: without an end they would be fetched again and kept for him.
	if part := c.rangeAt(c.position); part != nil && (!part.open || part.begin > 0) {
		options = append(options, torrent.WithEnd(part.end))
	}
	reader, err := c.torrent.NewReader(c.file.Index, options...)
	if err != nil {
		return nil, err
	}
	if old != nil {
		_, _ = c.status()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old != nil {
		old.Close()
	}
	if c.closed {
		reader.Close()
		c.reader = nil
		return nil, torrent.ErrClosed
	}
	c.reader, c.readerAt = reader, c.position
	c.wasted, c.duplicate = 0, 0
	return reader, nil
}

// rangeAt is the range that was asked for in which the position lies; nil: all of the file was.
func (c *content) rangeAt(position int64) *byteRange {
	for i := range c.ranges {
		if part := &c.ranges[i]; part.begin <= position && position < part.end {
			return part
		}
	}
	return nil
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.position
	case io.SeekEnd:
		offset += int64(c.file.Length)
	}
	if offset < 0 || offset > int64(c.file.Length) {
		return 0, torrent.ErrInvalidArgument
	}
	c.position = offset
	return offset, nil
}

// close may come while a part of several ranges is still being read.
func (c *content) close() {
	c.unhook()
	c.fail(nil)
	c.mu.Lock()
	c.closed = true
	reader := c.reader
	c.mu.Unlock()
	if reader != nil {
		// What came for nothing is added up before its reader goes.
		_, _ = c.status()
		_ = reader.Close()
	}
	if c.admitted {
		c.streams.leave(c)
	}
}

// status is the reader's, where there is one already.
func (c *content) status() (torrent.ReaderStatus, bool) {
	c.mu.Lock()
	reader := c.reader
	c.mu.Unlock()
	if reader == nil {
		return torrent.ReaderStatus{}, false
	}
	status, err := reader.Status()
	if err != nil {
		return torrent.ReaderStatus{}, false
	}
	c.addUp(reader, status)
	return status, true
}

// addUp takes what came for the reader for nothing since the last time into the sums. A status may be older than the last one.
func (c *content) addUp(of *torrent.Reader, status torrent.ReaderStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if of != c.reader {
		// Another one has its place, and its own sums.
		return
	}
	wasted, duplicate := max(status.WastedBytes, c.wasted), max(status.DuplicateBytes, c.duplicate)
	c.streams.wasted.Add(wasted - c.wasted)
	c.streams.duplicate.Add(duplicate - c.duplicate)
	c.wasted, c.duplicate = wasted, duplicate
}

// explanation is why the reader's byte is not here, where there is a reader already.
func (c *content) explanation() (torrent.Explanation, bool) {
	c.mu.Lock()
	reader := c.reader
	c.mu.Unlock()
	if reader == nil {
		return torrent.Explanation{}, false
	}
	why, err := reader.Explain()
	return why, err == nil
}

// torrentOf is the torrent that the request's path names: by its storage index, or by its info-hash, which is the same after a restart.
func (s *service) torrentOf(r *http.Request) (*torrent.Torrent, error) {
	name := r.PathValue("index")
	if index, err := torrent.ParseStorageIndex(name); err == nil {
		return s.session.Torrent(index), nil
	}
	hashes, err := torrent.ParseInfoHash(name)
	if err != nil {
		return nil, errNoTorrent
	}
	target, err := s.session.Find(hashes)
	// One of zeros is nobody's.
	if errors.Is(err, torrent.ErrNotFound) || errors.Is(err, torrent.ErrInvalidArgument) {
		return nil, errNoTorrent
	}
	return target, err
}

// fileOf is the file that the request's path names.
func (s *service) fileOf(t *torrent.Torrent, r *http.Request) (torrent.File, error) {
	list, err := s.fileLists.of(t)
	if err != nil {
		return torrent.File{}, err
	}
	return fileNumbered(list.files, r.PathValue("file"))
}

func fileNumbered(files []torrent.File, text string) (torrent.File, error) {
	number, err := strconv.ParseUint(text, 10, 31)
	if err != nil || number >= uint64(len(files)) {
		return torrent.File{}, errNoFile
	}
	return files[number], nil
}
