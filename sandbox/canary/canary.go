// Package canary finds a secret in texts and files: plain, URL-encoded and in base64, wherever
// in the encoded text it begins.
//
// Tests call it on logs, errors and files after a run that was given a distinctive secret;
// they plant the secret first, to know that the search finds it. It must never be part of
// what is shipped.
package canary

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"strings"
)

// Traces lists the forms in which a secret may turn up. Of each base64 form only
// what does not depend on the neighbours is in it.
func Traces(secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		// What precedes the secret shifts its base64 form by 0, 1 or 2 bytes.
		for shift := range 3 {
			encoded := encoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret + "xxx"))
			forms = append(forms, encoded[4:len(secret)])
		}
	}
	return forms
}

// Planted are texts that hold the secret, or two thirds of it, in every form that
// Find knows.
func Planted(secret string) []string {
	return []string{
		"token=" + secret, "token=" + secret[:len(secret)*2/3], strings.ToUpper(secret),
		"?t=" + url.QueryEscape(secret), "/t/" + url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte("a" + secret)),
		base64.URLEncoding.EncodeToString([]byte("ab" + secret + "c")),
		base64.RawURLEncoding.EncodeToString([]byte(`{"token":"` + secret + `"}`)),
	}
}

// Find is the first trace of a secret in what was written, "" if there is none.
// Half of a secret is a trace too. The secret must have 16 characters or more.
func Find(written []byte, secret string) string {
	written = lower(written)
	for _, form := range Traces(secret) {
		if from, to := common(written, lower([]byte(form)), len(form)/2); to > from {
			return form[from:to]
		}
	}
	return ""
}

// common returns where in a form a text of that length or more begins and ends that is in
// what was written too. Each such text has one of the form's blocks of half that length in
// it, so that what was written is searched for a few blocks only.
func common(written, form []byte, length int) (from, to int) {
	size := length / 2
	for block := 0; block+size <= len(form); block += size {
		for behind := 0; ; behind++ {
			at := bytes.Index(written[behind:], form[block:block+size])
			if at < 0 {
				break
			}
			behind += at
			from, to = block, block+size
			for from > 0 && behind > block-from && form[from-1] == written[behind-(block-from)-1] {
				from--
			}
			for to < len(form) && behind+to-block < len(written) && form[to] == written[behind+to-block] {
				to++
			}
			if to-from >= length {
				return from, to
			}
		}
	}
	return 0, 0
}

// lower returns a copy with the letters of ASCII in lower case. What was written is large,
// and of one goroutine: the race detector would take most of a test's time here.
//
//go:norace
func lower(text []byte) []byte {
	lowered := make([]byte, len(text))
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lowered[i] = c
	}
	return lowered
}
