// Package canary finds a secret in texts and files: plain, URL-encoded and in base64, wherever
// in the encoded text it begins.
//
// Tests call it on logs, errors and files after a run that was given a distinctive secret;
// they plant the secret first, to know that the search finds it. It must never be part of
// what is shipped.
package canary

import (
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

// Find is the first trace of one of the secrets in what was written, "" if there is none.
// Half of a secret is a trace too. A secret must have 16 characters or more.
func Find(written []byte, secrets ...string) string {
	var sought search
	for _, secret := range secrets {
		for _, form := range Traces(secret) {
			sought.add(form)
		}
	}
	return sought.in(written)
}

// search looks for all forms of all secrets at once: tests have hundreds of megabytes looked
// through for dozens of secrets. Half of a form has one of the form's blocks of a quarter in
// it, so the blocks are looked for, by their first three bytes.
type search struct {
	mayBegin [1 << 10]uint64 // a bit for each hash of three bytes
	blocks   map[uint16][]block
}

// block is where a block begins in a form.
type block struct {
	form, lowered string
	at, size      int
}

func (s *search) add(form string) {
	if s.blocks == nil {
		s.blocks = map[uint16][]block{}
	}
	lowered := []byte(form)
	for i, c := range lowered {
		lowered[i] = lower[c]
	}
	size := len(form) / 2 / 2
	for at := 0; at+size <= len(form); at += size {
		key := hash(lowered[at], lowered[at+1], lowered[at+2])
		s.mayBegin[key>>6] |= 1 << (key & 63)
		s.blocks[key] = append(s.blocks[key], block{form, string(lowered), at, size})
	}
}

// in returns the first trace. What is looked through is of one goroutine: the race detector
// would take most of a test's time here.
//
//go:norace
func (s *search) in(written []byte) string {
	for at := 0; at+3 <= len(written); at++ {
		key := hash(lower[written[at]], lower[written[at+1]], lower[written[at+2]])
		if s.mayBegin[key>>6]&(1<<(key&63)) == 0 {
			continue
		}
		for _, one := range s.blocks[key] {
			if trace := one.traceAt(written, at); trace != "" {
				return trace
			}
		}
	}
	return ""
}

// traceAt returns the part of the form around a block that begins there, "" if less than half
// of the form is.
//
//go:norace
func (b block) traceAt(written []byte, at int) string {
	from, to := b.at, b.at
	for to < len(b.form) && at+to-b.at < len(written) && b.lowered[to] == lower[written[at+to-b.at]] {
		to++
	}
	if to-from < b.size {
		return ""
	}
	for from > 0 && at-(b.at-from) > 0 && b.lowered[from-1] == lower[written[at-(b.at-from)-1]] {
		from--
	}
	if to-from < len(b.form)/2 {
		return ""
	}
	return b.form[from:to]
}

// hash is of sixteen bits.
//
//go:norace
func hash(a, b, c byte) uint16 { return uint16(a)<<8 ^ uint16(b)<<4 ^ uint16(c) }

// lower has each byte, and the letters of ASCII in lower case.
var lower = func() (table [256]byte) {
	for i := range table {
		table[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			table[i] += 'a' - 'A'
		}
	}
	return table
}()
