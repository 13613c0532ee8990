//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
)

// The lines between which a document has the result.
const (
	beginMarker = "<!-- make bench writes from here -->\n"
	endMarker   = "<!-- to here -->\n"
)

// writeInto puts the result into a document in place of the one before, and leaves
// the rest of it.
func writeInto(path, result string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(content), beginMarker)
	_, after, closed := strings.Cut(rest, endMarker)
	if !found || !closed {
		return fmt.Errorf("%s has no place for the result: the lines %q and %q are missing", path, strings.TrimSpace(beginMarker), strings.TrimSpace(endMarker))
	}
	return os.WriteFile(path, []byte(before+beginMarker+"\n"+result+"\n"+endMarker+after), 0o644) //nolint:gosec // A document for everybody.
}
