//go:build cgo

package capi

/*
#cgo noescape read_bytes
#cgo nocallback read_bytes
#cgo noescape read_bytes_at
#cgo nocallback read_bytes_at
#cgo noescape et_reader_seek
#cgo nocallback et_reader_seek
#cgo noescape et_reader_status
#cgo nocallback et_reader_status
#cgo noescape et_reader_explain
#cgo nocallback et_reader_explain
#include <elementum_torrent.h>

// With a pointer to bytes. One to anything would have cgo look up what it points to, each time.
static inline et_status read_bytes(et_reader *reader, char *buf, size_t len, size_t *n, et_error *error) {
	return et_reader_read(reader, buf, len, 0, n, error);
}
static inline et_status read_bytes_at(et_reader *reader, uint64_t offset, char *buf, size_t len, size_t *n, et_error *error) {
	return et_reader_read_at(reader, offset, buf, len, 0, n, error);
}
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Reader is an et_reader.
type Reader struct {
	lease lease
	p     *C.et_reader
	net   runtime.Cleanup
}

// OpenReader is et_reader_open.
func (s *Session) OpenReader(index uint64, file int32, options *ReaderOptions) (*Reader, *Error) {
	options.Struct_size = C.sizeof_et_reader_options
	r := new(Reader)
	err := s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_reader_open(p, i, C.et_file_index(file), (*C.et_reader_options)(unsafe.Pointer(options)), &r.p, e)
	})
	if err != nil {
		return nil, err
	}
	p := r.p
	free := func() { freeReader(p) }
	r.lease.open(free)
	r.net = watch(r, "reader", free)
	return r, nil
}

func freeReader(p *C.et_reader) {
	C.et_reader_free(p)
	live.Add(-1)
}

func (r *Reader) enter() bool {
	if r == nil || !r.lease.enter() {
		return false
	}
	readerCalls.enter()
	return true
}

func (r *Reader) leave() {
	readerCalls.leave()
	r.lease.leave()
}

func (r *Reader) call(f func(p *C.et_reader, e *C.et_error) C.et_status) *Error {
	if !r.enter() {
		return closed()
	}
	defer r.leave()
	e := newError()
	return failure(f(r.p, &e), &e)
}

// Close closes the reader, and frees it when the last call on it has returned. False: it was closed before.
func (r *Reader) Close() bool {
	// Wakes who waits; it cannot fail but by being closed.
	_ = r.call(func(p *C.et_reader, e *C.et_error) C.et_status { return C.et_reader_close(p, e) })
	if r == nil || !r.lease.end() {
		return false
	}
	r.net.Stop()
	return true
}

// Read is et_reader_read without waiting. The status tells all; the error has its words only where they are asked for.
func (r *Reader) Read(into []byte) (int, *Error) {
	if !r.enter() {
		return 0, closed()
	}
	e := newError()
	var n C.size_t
	status := C.read_bytes(r.p, (*C.char)(unsafe.Pointer(unsafe.SliceData(into))), C.size_t(len(into)), &n, &e)
	r.leave()
	return int(n), readFailure(status, &e)
}

// ReadAt is et_reader_read_at without waiting.
func (r *Reader) ReadAt(offset uint64, into []byte) (int, *Error) {
	if !r.enter() {
		return 0, closed()
	}
	e := newError()
	var n C.size_t
	data := (*C.char)(unsafe.Pointer(unsafe.SliceData(into)))
	status := C.read_bytes_at(r.p, C.uint64_t(offset), data, C.size_t(len(into)), &n, &e)
	r.leave()
	return int(n), readFailure(status, &e)
}

var (
	wouldBlock = &Error{Status: ErrWouldBlock, Message: "the data is not here yet"}
	endOfFile  = &Error{Status: ErrEndOfFile, Message: "the end of the file"}
)

// readFailure makes no new error of what is not one.
func readFailure(status C.et_status, e *C.et_error) *Error {
	switch status {
	case C.ET_OK:
		return nil
	case C.ET_ERR_WOULD_BLOCK:
		return wouldBlock
	case C.ET_ERR_END_OF_FILE:
		return endOfFile
	}
	return describe(int32(status), e)
}

// SeekTo is et_reader_seek.
func (r *Reader) SeekTo(offset int64, whence int32) (uint64, *Error) {
	if !r.enter() {
		return 0, closed()
	}
	defer r.leave()
	e := newError()
	var position C.uint64_t
	status := C.et_reader_seek(r.p, C.int64_t(offset), C.et_whence(whence), &position, &e)
	return uint64(position), failure(status, &e)
}

// Size is et_reader_size.
func (r *Reader) Size() (uint64, *Error) {
	var size C.uint64_t
	err := r.call(func(p *C.et_reader, e *C.et_error) C.et_status { return C.et_reader_size(p, &size, e) })
	return uint64(size), err
}

// ID is et_reader_id.
func (r *Reader) ID() (uint64, *Error) {
	var id C.uint64_t
	err := r.call(func(p *C.et_reader, e *C.et_error) C.et_status { return C.et_reader_id(p, &id, e) })
	return uint64(id), err
}

// FD is et_reader_fd.
func (r *Reader) FD() (int, *Error) {
	var fd C.int32_t
	err := r.call(func(p *C.et_reader, e *C.et_error) C.et_status { return C.et_reader_fd(p, &fd, e) })
	return int(fd), err
}

// SetOptions is et_reader_set_options.
func (r *Reader) SetOptions(options *ReaderOptions) *Error {
	options.Struct_size = C.sizeof_et_reader_options
	return r.call(func(p *C.et_reader, e *C.et_error) C.et_status {
		return C.et_reader_set_options(p, (*C.et_reader_options)(unsafe.Pointer(options)), e)
	})
}

// Prebuffer is et_reader_prebuffer.
func (r *Reader) Prebuffer(head, tail uint64) *Error {
	return r.call(func(p *C.et_reader, e *C.et_error) C.et_status {
		return C.et_reader_prebuffer(p, C.uint64_t(head), C.uint64_t(tail), e)
	})
}

// Status is et_reader_status.
func (r *Reader) Status(out *ReaderStatusInfo) *Error {
	if !r.enter() {
		return closed()
	}
	defer r.leave()
	e := newError()
	out.Struct_size = C.sizeof_et_reader_status_info
	return failure(C.et_reader_status(r.p, (*C.et_reader_status_info)(unsafe.Pointer(out)), &e), &e)
}

// Explain is et_reader_explain.
func (r *Reader) Explain(out *ReaderExplanation) *Error {
	if !r.enter() {
		return closed()
	}
	defer r.leave()
	e := newError()
	out.Struct_size = C.sizeof_et_reader_explanation
	return failure(C.et_reader_explain(r.p, (*C.et_reader_explanation)(unsafe.Pointer(out)), &e), &e)
}

// ExplanationMessage is the sentence that an explanation comes to; empty where it is none.
func ExplanationMessage(explanation *ReaderExplanation) string {
	var buffer [1024]byte
	var length C.size_t
	status := C.et_reader_explanation_message((*C.et_reader_explanation)(unsafe.Pointer(explanation)),
		(*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(len(buffer)), &length, nil)
	if status != C.ET_OK {
		return ""
	}
	return string(buffer[:length])
}
