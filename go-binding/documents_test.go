package torrent_test

import (
	"encoding/json"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The code in the README and in the package's documentation compiles as it stands there: what it leaves out is what handles errors.
func TestCodeOfTheDocumentsCompiles(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	must(t, err)
	_, code, found := strings.Cut(string(readme), "```go\n")
	code, _, ended := strings.Cut(code, "```")
	if !found || !ended {
		t.Fatal("README has no code")
	}
	document, err := os.ReadFile("doc.go")
	must(t, err)
	var indented strings.Builder
	for line := range strings.Lines(string(document)) {
		if text, ok := strings.CutPrefix(line, "//\t"); ok {
			indented.WriteString(text)
		}
	}
	for name, code := range map[string]string{"README": code, "doc.go": indented.String()} {
		if !strings.Contains(code, "http.ServeContent(") || !strings.Contains(code, "torrent.WithContext(r.Context())") {
			t.Errorf("%s: a web server that waits for clients that left:\n%s", name, code)
		}
		compiles(t, name, code)
	}
}

func compiles(t *testing.T, name, code string) {
	t.Helper()
	code = strings.ReplaceAll(code, "{ … }", "{ return }")
	code = strings.NewReplacer("// …", "if err != nil { return }", "\n…", "\nif err != nil { return }").Replace(code)
	text := "package main\nimport (\n\"context\"\n\"net/http\"\n\"time\"\n\"elementum.example/torrent\"\n)\n" +
		"func main() { _ = play }\nfunc play(ctx context.Context, link string, w http.ResponseWriter, r *http.Request) {\n" + code + "}\n"
	formatted, err := format.Source([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
	// In the module, but not in its tree.
	source := filepath.Join(t.TempDir(), "main.go")
	must(t, os.WriteFile(source, formatted, 0o600))
	directory, err := filepath.Abs(".")
	must(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(directory, "documentscode", "main.go"): source}})
	must(t, err)
	list := filepath.Join(t.TempDir(), "overlay.json")
	must(t, os.WriteFile(list, overlay, 0o600))
	build := exec.Command("go", "build", "-overlay", list, "-o", os.DevNull, "./documentscode")
	if output, err := build.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s\n%s", name, err, output, formatted)
	}
}
