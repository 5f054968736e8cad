package torrent

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"elementum.example/torrent/internal/capi"
)

// Code says what kind of error it is. Each is an error of its own, to be asked for with [errors.Is]:
//
//	if errors.Is(err, torrent.ErrNoMetadata) { … }
type Code int32

// The codes. [ErrClosed] also is [fs.ErrClosed], [ErrTimedOut] also is [os.ErrDeadlineExceeded], [ErrInvalidArgument] also is
// [fs.ErrInvalid], and [ErrNotFound] also is [fs.ErrNotExist].
const (
	// A value is not allowed here; the message names it and what is.
	ErrInvalidArgument Code = capi.ErrInvalidArgument
	// The session, or the reader, was closed.
	ErrClosed Code = capi.ErrClosed
	// No torrent of this session has, or has any more, that storage index.
	ErrInvalidStorageIndex Code = capi.ErrInvalidStorageIndex
	// There is no such thing.
	ErrNotFound Code = capi.ErrNotFound
	// The torrent is in the session already.
	ErrDuplicateTorrent Code = capi.ErrDuplicateTorrent
	// The torrent's metadata is not here yet.
	ErrNoMetadata Code = capi.ErrNoMetadata
	// The piece is not there, and the call does not wait.
	ErrWouldBlock Code = capi.ErrWouldBlock
	// The time was up.
	ErrTimedOut Code = capi.ErrTimedOut
	// Another goroutine is reading from, or seeking, this reader.
	ErrBusy Code = capi.ErrBusy
	// A torrent file, magnet or other input is malformed.
	ErrParse Code = capi.ErrParse
	// There is no setting of that name; the message tells the nearest.
	ErrUnknownSetting Code = capi.ErrUnknownSetting
	// A file could not be read or written.
	ErrIO Code = capi.ErrIo
	// A socket or a name could not be used.
	ErrNetwork Code = capi.ErrNetwork
	// It does not fit into the memory limit.
	ErrOutOfMemory Code = capi.ErrOutOfMemory
	// This version cannot do that, or the program was built without cgo.
	ErrUnsupported Code = capi.ErrUnsupported
	// A fault inside the library; please report it.
	ErrPanic Code = capi.ErrPanic
)

// Error is the code's name; that of 0, which is no error, is "ok".
func (c Code) Error() string {
	name := strings.TrimPrefix(strings.TrimPrefix(capi.StatusName(int32(c)), "ET_"), "ERR_")
	if name == "" {
		// Without cgo there is no library to ask.
		return "torrent: error " + strconv.Itoa(int(c))
	}
	return "torrent: " + strings.ReplaceAll(strings.ToLower(name), "_", " ")
}

// Is makes the codes that the standard library has, too, be those.
func (c Code) Is(target error) bool {
	switch c {
	case ErrClosed:
		return target == fs.ErrClosed
	case ErrTimedOut:
		return target == os.ErrDeadlineExceeded
	case ErrInvalidArgument:
		return target == fs.ErrInvalid
	case ErrNotFound:
		return target == fs.ErrNotExist
	}
	return false
}

// Timeout makes a time that was up one for [net.Error] and [os.IsTimeout].
func (c Code) Timeout() bool { return c == ErrTimedOut }

// An Error tells what failed, and why. Get at it with [errors.As].
type Error struct {
	// The call, such as "Torrent.Status".
	Op string
	// What kind of error it is.
	Code Code
	// The operating system's error number, 0 where there is none.
	OSError syscall.Errno
	// What was being done.
	Operation Operation
	// A line for people, without control characters.
	Message string
}

func (e *Error) Error() string {
	text := "torrent: " + e.Op + ": " + e.Message
	if e.Message == "" {
		text = "torrent: " + e.Op + ": " + strings.TrimPrefix(e.Code.Error(), "torrent: ")
	}
	// Where the library names the number, it has said what it means.
	if e.OSError != 0 && !strings.Contains(e.Message, "(os error "+strconv.Itoa(int(e.OSError))+")") {
		text += " (" + e.OSError.Error() + ")"
	}
	return text
}

// Unwrap gives the code, and the operating system's error where there is one.
func (e *Error) Unwrap() []error {
	if e.OSError == 0 {
		return []error{e.Code}
	}
	return []error{e.Code, e.OSError}
}

// Timeout is as [Code.Timeout].
func (e *Error) Timeout() bool { return e.Code.Timeout() }

// wrap makes an error of a failed call's, nil of none.
func wrap(op string, err *capi.Error) error {
	if err == nil {
		return nil
	}
	if err.Status == capi.ErrEndOfFile {
		return io.EOF
	}
	message := err.Message
	if err.Status == capi.ErrInvalidArgument {
		// Others name no arguments, but files, which may be called anything.
		message = goNames(message)
	}
	return &Error{
		Op:        op,
		Code:      Code(err.Status),
		OSError:   syscall.Errno(err.OSError),
		Operation: Operation(err.Operation),
		Message:   message,
	}
}

// cField is a field of a C struct, as the library's messages name it.
var cField = regexp.MustCompile(`\b(?:(params|options)->|trackers\[\]\.)([a-z][a-z0-9_]*)`)

// goNames has a message name fields as Go does. What stands in quotes came from outside, and stays as it is.
func goNames(message string) string {
	ours, quoted, found := strings.Cut(message, `"`)
	ours = cField.ReplaceAllStringFunc(ours, func(field string) string {
		parts := cField.FindStringSubmatch(field)
		name := camelCase(parts[2])
		if parts[1] == "options" {
			// In Go those of a reader are functions.
			name = "With" + name
		}
		return name
	})
	if found {
		return ours + `"` + quoted
	}
	return ours
}

// camelCase makes SavePath of save_path, and URL of url.
func camelCase(name string) string {
	if name == "url" {
		return "URL"
	}
	var words strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		if word != "" {
			words.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return words.String()
}

// waiterError is why a descriptor cannot be waited on.
func waiterError(op string, err error) error {
	failed := &Error{Op: op, Code: ErrIO, Operation: OperationFile, Message: "no descriptor to wait on"}
	if !errors.As(err, &failed.OSError) {
		failed.Message += ": " + err.Error()
	}
	return failed
}

func closedError(op string) error {
	return &Error{Op: op, Code: ErrClosed, Message: "closed"}
}

// orBackground is the context, or one that never ends in place of nil.
func orBackground(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

// endOfWait is what a waiter's error comes to.
func endOfWait(ctx context.Context, op string, ended error, tooLate string) error {
	switch {
	case errors.Is(ended, os.ErrClosed):
		return closedError(op)
	case ctx.Err() != nil:
		return waitError(ctx, op, tooLate)
	}
	return ended
}

// waitError is why a wait ended that its context ended. tooLate is what is said where the time was up.
func waitError(ctx context.Context, op, tooLate string) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		timedOut := &Error{Op: op, Code: ErrTimedOut, Message: tooLate}
		return &waitTimedOut{timedOut, cause}
	}
	return cause
}

// A waitTimedOut is both: the library's time-out and the context's.
type waitTimedOut struct {
	timedOut *Error
	cause    error
}

func (e *waitTimedOut) Error() string   { return e.timedOut.Error() }
func (e *waitTimedOut) Timeout() bool   { return true }
func (e *waitTimedOut) Unwrap() []error { return []error{e.timedOut, e.cause} }
