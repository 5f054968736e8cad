package main

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"elementum.example/torrent"
)

// stream serves a file, or ranges of it, while it downloads.
func (s *service) stream(w http.ResponseWriter, r *http.Request) {
	target, err := s.torrentOf(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	info, err := target.Info()
	if err != nil {
		fail(w, r, err)
		return
	}
	file, err := fileOf(target, r)
	if err != nil {
		fail(w, r, err)
		return
	}
	if err := target.Err(); err != nil {
		fail(w, r, &failure{status: http.StatusInternalServerError, code: "torrent_error", message: "the torrent stopped: " + messageOf(err)})
		return
	}
	header := w.Header()
	kind := mediaOf(file.Path)
	header.Set("Content-Type", kind.contentType)
	if kind.kind == kindOther {
		header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(file.Path)}))
	}
	header.Set("Accept-Ranges", "bytes")
	// A file of a torrent never changes.
	header.Set("ETag", fmt.Sprintf(`"%s-%d"`, info.InfoHashes, file.Index))
	header.Set("Cache-Control", "private, no-cache")

	content := &content{
		ctx:     r.Context(),
		streams: s.streams,
		torrent: target,
		file:    file,
		agent:   r.UserAgent(),
		remote:  r.RemoteAddr,
		idle:    s.config.streamIdle,
		written: http.NewResponseController(w),
	}
	defer content.close()
	if err := content.admit(r); err != nil {
		fail(w, r, err)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, content)
}

// A content is a file for http.ServeContent. Its reader is opened by the first read, at the place of it: what ServeContent seeks
// before, and a request for the head alone, fetch nothing.
type content struct {
	ctx      context.Context
	streams  *streams
	torrent  *torrent.Torrent
	file     torrent.File
	agent    string
	remote   string
	idle     time.Duration
	written  *http.ResponseController
	started  time.Time
	admitted bool

	sent atomic.Uint64
	// Of the one that reads and seeks.
	position int64

	// Guards what close and the list of streams look at, too.
	mu     sync.Mutex
	reader *torrent.Reader
	closed bool
	// What came for its reader for nothing, as far as it was added up.
	wasted, duplicate uint64
}

// admit takes a place among the streams, for a request that will read.
func (c *content) admit(r *http.Request) error {
	if r.Method == http.MethodHead {
		return nil
	}
	c.started = time.Now()
	if !c.streams.enter(c) {
		return errBusy
	}
	c.admitted = true
	return nil
}

// Read reads until the request's end. Client and swarm may each stand still for the idle time.
func (c *content) Read(into []byte) (int, error) {
	if c.position >= int64(c.file.Length) {
		return 0, io.EOF
	}
	reader, err := c.open()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.idle)
	n, err := reader.ReadContext(ctx, into)
	cancel()
	c.position += int64(n)
	c.sent.Add(uint64(n))
	c.streams.sent.Add(uint64(n))
	if n > 0 {
		// Where it cannot be set, the server's own stays.
		_ = c.written.SetWriteDeadline(time.Now().Add(c.idle))
	}
	return n, err
}

func (c *content) open() (*torrent.Reader, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, torrent.ErrClosed
	}
	if c.reader != nil {
		return c.reader, nil
	}
	reader, err := c.torrent.NewReader(c.file.Index)
	if err != nil {
		return nil, err
	}
	if c.position != 0 {
		if _, err := reader.Seek(c.position, io.SeekStart); err != nil {
			reader.Close()
			return nil, err
		}
	}
	c.reader = reader
	return reader, nil
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
	c.mu.Lock()
	reader := c.reader
	c.mu.Unlock()
	if reader != nil {
		if _, err := reader.Seek(offset, io.SeekStart); err != nil {
			return 0, err
		}
	}
	c.position = offset
	return offset, nil
}

// close may come while a part of several ranges is still being read.
func (c *content) close() {
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
	c.addUp(status)
	return status, true
}

// addUp takes what came for the reader for nothing since the last time into the sums. A status may be older than the last one.
func (c *content) addUp(status torrent.ReaderStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
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

// streams are those that are open.
type streams struct {
	sent  atomic.Uint64
	total atomic.Uint64
	// Of all that are and were open: bytes that came for nothing, by why.
	wasted, duplicate atomic.Uint64

	mu   sync.Mutex
	next uint64
	open map[*content]uint64
}

func newStreams() *streams { return &streams{open: map[*content]uint64{}} }

func (s *streams) enter(c *content) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= maxStreams {
		return false
	}
	s.next++
	s.open[c] = s.next
	s.total.Add(1)
	return true
}

func (s *streams) leave(c *content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// snapshot is a copy: a status must not be asked for under the lock.
func (s *streams) snapshot() map[uint64]*content {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[uint64]*content, len(s.open))
	for c, id := range s.open {
		all[id] = c
	}
	return all
}

// torrentOf is the torrent that the request's path names.
func (s *service) torrentOf(r *http.Request) (*torrent.Torrent, error) {
	index, err := torrent.ParseStorageIndex(r.PathValue("index"))
	if err != nil {
		return nil, errNoTorrent
	}
	return s.session.Torrent(index), nil
}

// fileOf is the file that the request's path names.
func fileOf(t *torrent.Torrent, r *http.Request) (torrent.File, error) {
	files, err := t.Files()
	if err != nil {
		return torrent.File{}, err
	}
	number, err := strconv.ParseUint(r.PathValue("file"), 10, 31)
	if err != nil || number >= uint64(len(files)) {
		return torrent.File{}, errNoFile
	}
	return files[number], nil
}
