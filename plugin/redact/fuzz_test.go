package redact_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/batonhost/baton-host/plugin/redact"
)

// FuzzBlank writes a secret in every form, next to anything: nothing of it may be
// left, and what has nothing of it stays.
func FuzzBlank(f *testing.F) {
	for _, secret := range secrets {
		f.Add(secret, "before ", " after")
		f.Add(secret, `\`, `%2`)
	}
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if len(secret) < redact.Shortest || len(secret) > 1<<10 || strings.Contains(redact.Hidden, secret) {
			return
		}
		redactor := redact.Of(secret)
		for form, write := range forms {
			written := write(secret)
			if !slices.ContainsFunc(redact.Readings(written), func(plain string) bool { return strings.Contains(plain, secret) }) {
				continue // base64, or a form that does not hold such a text
			}
			line := before + ":" + written + ":" + after // so that what is before does not take its beginning for an escape
			for _, reading := range redact.Readings(redactor.Blank(line))[:1] {
				if strings.Contains(reading, written) || strings.Contains(reading, secret) && !strings.Contains(before+":"+redact.Hidden+":"+after, secret) {
					t.Fatalf("%s: %q is left of %q", form, reading, line)
				}
			}
			if !redactor.Finds(line) {
				t.Fatalf("%s: nothing is found in %q", form, line)
			}
		}
		if !redactor.Finds(before) && redactor.Blank(before) != before {
			t.Fatalf("%q is changed", before)
		}
		_ = redactor.BlankBeginning(before + secret[:len(secret)/2])
	})
}
