package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"elementum.example/torrent"
)

// Names, and what trackers and peers say, are strangers' texts. A character in them that is not seen can turn the rest of a line round,
// hide an extension or end a line. All that people may come to see goes through here: answers and events in encode, the log in logWriter, names
// of files in nameOf.

// shown is a text as people may see it: line ends and other control characters are spaces, what is invisible is left out.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ', r >= 0x7f && r < 0xa0, r == '\u2028', r == '\u2029':
			return ' '
		case r >= 0xa0 && isInvisible(r):
			return -1
		}
		return r
	}, text)
}

// isInvisible tells whether a character shows nothing by itself: it turns the direction of others, joins them, or fills a place. Those that stand
// before numbers in Arabic and Syriac are of the same category, and are seen. Selectors of a variant stay: they change how one is drawn.
func isInvisible(r rune) bool {
	if unicode.Is(unicode.Cf, r) {
		return !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	}
	return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// Control characters as JSON writes them. An escaped backslash before what looks like one is none.
var controlEscapes = func() *strings.Replacer {
	pairs := []string{`\\`, `\\`, `\n`, " ", `\r`, " ", `\t`, " ", `\b`, " ", `\f`, " ", `\u2028`, " ", `\u2029`, " "}
	for control := range ' ' {
		pairs = append(pairs, fmt.Sprintf(`\u%04x`, control), " ")
	}
	return strings.NewReplacer(pairs...)
}()

// encode is a value as JSON whose strings may be shown.
func encode(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return []byte(controlEscapes.Replace(shown(string(text)))), nil
}

// A logWriter writes lines that may be shown.
type logWriter struct{ io.Writer }

func (w logWriter) Write(text []byte) (int, error) {
	// A panic's stack has several.
	for line := range strings.Lines(string(text)) {
		line, ended := strings.CutSuffix(line, "\n")
		line = shown(line)
		if ended {
			line += "\n"
		}
		if _, err := io.WriteString(w.Writer, line); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}

// nameOf is a file's name without directories, as it may be shown, saved, and stand in an address.
func nameOf(file torrent.File) string {
	name := strings.TrimSpace(strings.ToValidUTF8(shown(path.Base(file.Path)), string(utf8.RuneError)))
	if name == "." || name == ".." || name == "/" {
		name = ""
	}
	return cmp.Or(name, fmt.Sprintf("file-%d", file.Index))
}
