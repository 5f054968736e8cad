package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// A byteRange is a part of a file, the end not in it.
type byteRange struct {
	begin, end int64
	// It was asked for without an end: by who plays on.
	open bool
}

// More parts than these in one request are refused. RFC 9110, 15.5.17 has 416 for that; the whole file in their place would be a film
// to somebody who wanted a few bytes of it.
const maxRanges = 16

var (
	errRange = &failure{status: http.StatusRequestedRangeNotSatisfiable, code: "no_range", message: "there is no such range"}

	errManyRanges = &failure{status: http.StatusRequestedRangeNotSatisfiable, code: "too_many_ranges",
		message: fmt.Sprintf("one request may ask for %d ranges at most", maxRanges)}
)

// rangesOf is which parts of a file a request asks for; none: all of it. The header is changed to what net/http takes the same way: it
// refuses units and orders that are to be ignored, and answers for parts of no bytes. The error is that no part of them is in the file,
// or that there are too many.
func rangesOf(r *http.Request, etag string, size int64) (ranges []byteRange, err error) {
	asked := r.Header.Values("Range")
	if len(asked) == 0 {
		return nil, nil
	}
	r.Header.Del("Range")
	condition := r.Header.Get("If-Range")
	// Ranges are for GET, of what the client has a part of already. Two headers are no range.
	if r.Method != http.MethodGet || len(asked) > 1 || condition != "" && condition != etag {
		return nil, nil
	}
	ranges, count := parseRanges(asked[0], size)
	switch {
	case count == 0:
		return nil, nil
	case count > maxRanges:
		return nil, errManyRanges
	case len(ranges) == 0:
		return nil, errRange
	}
	var sum int64
	specs := make([]string, len(ranges))
	for i, part := range ranges {
		sum += part.end - part.begin
		specs[i] = fmt.Sprintf("%d-%d", part.begin, part.end-1)
	}
	if len(ranges) > 1 && sum > size {
		// They overlap: the whole is less.
		return nil, nil
	}
	r.Header.Set("Range", "bytes="+strings.Join(specs, ","))
	return ranges, nil
}

// parseRanges reads a Range header as RFC 9110, 14.1 has it: how many parts it asks for, and those of the first maxRanges that are in the
// file. There are none where it is to be ignored: its unit is another one, or a single part of it is none.
func parseRanges(header string, size int64) (ranges []byteRange, count int) {
	unit, set, ok := strings.Cut(header, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil, 0
	}
	for spec := range strings.SplitSeq(set, ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue
		}
		first, last, ok := strings.Cut(spec, "-")
		if !ok || first == "" && last == "" || !areDigits(first) || !areDigits(last) {
			return nil, 0
		}
		if first != "" && last != "" && isLess(last, first) {
			return nil, 0
		}
		count++
		part := byteRange{begin: positionOf(first), end: size, open: last == ""}
		switch {
		case first == "":
			part.begin = size - min(positionOf(last), size)
		case last != "":
			part.end = min(positionOf(last), size-1) + 1
		}
		if part.begin < part.end && count <= maxRanges {
			ranges = append(ranges, part)
		}
	}
	return ranges, count
}

func areDigits(text string) bool {
	return strings.Trim(text, "0123456789") == ""
}

// isLess compares numbers that no type may hold: the grammar has no greatest one.
func isLess(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return len(a) < len(b) || len(a) == len(b) && a < b
}

// positionOf is what digits say. More of them than a number holds are the greatest one, which is beyond any file.
func positionOf(digits string) int64 {
	// An error is none of the digits here, or too many; the value is right for both.
	position, _ := strconv.ParseInt(digits, 10, 64)
	return position
}
