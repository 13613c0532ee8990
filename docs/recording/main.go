// Command recording runs a script and writes what it prints as an animated SVG, for README.md.
//
// `make recording` runs it. The picture is of a real run: it must never change what the script
// prints, nor make up a line.
package main

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode/utf8"
)

// columns is the width of the terminal that is pictured.
const columns = 130

// A pause is shown as it was, but no longer than longest; a command is there for a moment before
// it prints.
const (
	longest = 1500 * time.Millisecond
	reading = 900 * time.Millisecond
)

// line is a line of the terminal, and when it comes.
type line struct {
	text string
	at   time.Duration
}

func main() {
	out := flag.String("out", "docs/images/tour.svg", "the picture to write")
	flag.Parse()
	if err := record(flag.Arg(0), *out); err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
}

func record(script, out string) error {
	command := exec.Command("bash", script) //nolint:gosec,noctx // It is a script of this repository, and ends by itself.
	command.Env = append(os.Environ(), "NO_COLOR=1")
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("run %s: %w", script, err)
	}
	lines, err := follow(output, time.Now)
	if err != nil {
		return fmt.Errorf("read what %s prints: %w", script, err)
	}
	if err := command.Wait(); err != nil {
		return fmt.Errorf("%s failed, so there is no picture: %w", script, err)
	}
	picture, err := draw(lines)
	if err != nil {
		return err
	}
	return os.WriteFile(out, picture, 0o644) //nolint:gosec // A document.
}

// follow reads lines as they come, and places them in time.
func follow(output io.Reader, now func() time.Time) ([]line, error) {
	var lines []line
	var at time.Duration
	last := now()
	scanner := bufio.NewScanner(output)
	for scanner.Scan() {
		read := now()
		at += min(read.Sub(last), longest)
		last = read
		text := scanner.Text()
		for _, part := range wrap(text) {
			lines = append(lines, line{text: part, at: at})
		}
		if strings.HasPrefix(text, "$ ") {
			at += reading
		}
	}
	return lines, scanner.Err()
}

// wrap cuts a text as a terminal does.
func wrap(text string) []string {
	var parts []string
	for utf8.RuneCountInString(text) > columns {
		runes := []rune(text)
		parts = append(parts, string(runes[:columns]))
		text = string(runes[columns:])
	}
	return append(parts, text)
}

const (
	glyph  = 7.8
	height = 18
	margin = 16
)

// draw returns the picture. Where nothing is animated, all of it is shown.
func draw(lines []line) ([]byte, error) {
	var picture bytes.Buffer
	width := int(glyph*columns) + 2*margin
	fmt.Fprintf(&picture, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="A recording of a terminal">
<style>
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #c9d1d9; white-space: pre; animation: show 1ms backwards; }
.command { fill: #7ee787; font-weight: 600; }
@keyframes show { from { opacity: 0; } to { opacity: 1; } }
@media (prefers-reduced-motion: reduce) { text { animation: none; } }
</style>
<rect width="100%%" height="100%%" rx="8" fill="#0d1117"/>
`, width, len(lines)*height+2*margin)
	for i, one := range lines {
		if one.text == "" {
			continue
		}
		class := ""
		if strings.HasPrefix(one.text, "$ ") {
			class = ` class="command"`
		}
		fmt.Fprintf(&picture, `<text x="%d" y="%d"%s style="animation-delay:%dms" xml:space="preserve">`, margin, margin+i*height+13, class, one.at.Milliseconds())
		if err := xml.EscapeText(&picture, []byte(one.text)); err != nil {
			return nil, err
		}
		picture.WriteString("</text>\n")
	}
	picture.WriteString("</svg>\n")
	return picture.Bytes(), nil
}
