package scim

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
)

// unknownCharsetError is the name of a character set that cannot be decoded.
type unknownCharsetError string

func (e unknownCharsetError) Error() string {
	return fmt.Sprintf("unknown character set %q", string(e))
}

// invalidTextError is the name of the character set of which a body has bytes that are
// no text.
type invalidTextError string

func (e invalidTextError) Error() string { return string(e) }

const (
	utf8Name  = "UTF-8"
	asciiName = "US-ASCII"
	utf8BOM   = "\xef\xbb\xbf"
)

// decodeText is a body as UTF-8, without a byte order mark. JSON is UTF-8 (RFC 8259
// section 8.1), but some servers send what they declare in Content-Type. What is no
// text in the declared character set, and without one what is not UTF-8, is an error:
// as U+FFFD, different texts become the same.
func decodeText(body []byte, header http.Header) ([]byte, error) {
	name := declaredCharset(header.Get("Content-Type"))
	if len(body) == 0 || name == "" || strings.EqualFold(name, utf8Name) || bytes.HasPrefix(body, []byte(utf8BOM)) {
		return validUTF8(body, utf8Name)
	}
	if isUTF16(name) {
		return decodeWith(unicode.UTF16(utf16Order(body, name), unicode.UseBOM), name, body)
	}
	// A server that declares ASCII and sends more than that can mean nothing but its
	// superset UTF-8. Browsers read ASCII as windows-1252.
	if known, err := ianaindex.MIME.Encoding(name); err == nil && known != nil {
		if canonical, err := ianaindex.MIME.Name(known); err == nil && canonical == asciiName {
			return validUTF8(body, asciiName)
		}
	}
	if utf8.Valid(body) && !isCoded(body, name) {
		known, err := encodingOf(name)
		// A set of several bytes is believed. Text in one of single bytes is practically
		// never valid UTF-8 if there is more than ASCII in it, and a set that does not
		// exist means nothing.
		if err != nil || isSingleByte(known) {
			return validUTF8(body, utf8Name)
		}
	}
	known, err := encodingOf(name)
	switch {
	case err != nil:
		return nil, err
	case known == unicode.UTF8:
		return validUTF8(body, utf8Name)
	}
	return decodeWith(known, name, body)
}

// encodingOf finds a character set that can be decoded.
func encodingOf(name string) (encoding.Encoding, error) {
	if part, java := strings.CutPrefix(strings.TrimPrefix(strings.ToLower(name), "iso"), "8859_"); java {
		name = "iso-8859-" + part // as Java calls it
	}
	// As browsers do, ISO-8859-1 is read as its superset windows-1252, which is what
	// most servers mean by it.
	known, err := htmlindex.Get(name)
	if err != nil || known == encoding.Replacement {
		known, err = ianaindex.MIME.Encoding(name)
	}
	// x-user-defined has no characters that mean anything.
	if err != nil || known == nil || known == charmap.XUserDefined {
		return nil, unknownCharsetError(name)
	}
	return known, nil
}

func isSingleByte(known encoding.Encoding) bool {
	switch known {
	case charmap.ISO8859_6E, charmap.ISO8859_6I, charmap.ISO8859_8E, charmap.ISO8859_8I:
		return true
	}
	_, single := known.(*charmap.Charmap)
	return single
}

// isCoded reports whether ASCII may mean something else in a character set that cannot be
// decoded: in UTF-7 and ISO 2022 it does, and one of four bytes has zeros.
func isCoded(body []byte, name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "utf-7") || strings.Contains(name, "utf7") || strings.Contains(name, "2022") ||
		strings.HasPrefix(name, "hz") || bytes.IndexByte(body, 0) >= 0
}

func validUTF8(body []byte, name string) ([]byte, error) {
	body = bytes.TrimPrefix(body, []byte(utf8BOM))
	if !utf8.Valid(body) {
		return nil, invalidTextError(name)
	}
	return body, nil
}

// decodeWith decodes a body. Decoders put U+FFFD in the place of what they do not know.
func decodeWith(known encoding.Encoding, name string, body []byte) ([]byte, error) {
	decoded, err := known.NewDecoder().Bytes(body)
	if err != nil || bytes.ContainsRune(decoded, utf8.RuneError) {
		return nil, invalidTextError(name)
	}
	return decoded, nil
}

// halfPair finds an escape of half of a pair of surrogates in JSON, and returns where it is.
// Such an escape is no character: encoding/json reads each as U+FFFD, so that different
// texts become the same.
func halfPair(body []byte) (at int, found bool) {
	if !bytes.Contains(body, []byte(`\ud`)) && !bytes.Contains(body, []byte(`\uD`)) {
		return 0, false
	}
	high := -1 // where a first half ends that the second one must follow
	for {
		next := bytes.IndexByte(body[at:], '\\')
		if next < 0 || at+next+1 >= len(body) {
			break
		}
		at += next
		if high >= 0 && at != high {
			break
		}
		unit, ok := surrogate(body[at:])
		switch {
		case high >= 0 && (!ok || unit < firstLowSurrogate):
			return high - escapeLength, true
		case high >= 0:
			high = -1
		case ok && unit >= firstLowSurrogate:
			return at, true
		case ok:
			high = at + escapeLength
		}
		if ok {
			at += escapeLength
		} else {
			at += 2 // a backslash and what it escapes
		}
	}
	return high - escapeLength, high >= 0
}

const (
	escapeLength      = len(`\ud800`)
	firstSurrogate    = 0xd800
	firstLowSurrogate = 0xdc00
	lastSurrogate     = 0xdfff
)

// surrogate is what an escape in JSON stands for, if it is half of a pair.
func surrogate(escape []byte) (unit uint64, ok bool) {
	if len(escape) < escapeLength || escape[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(escape[2:escapeLength]), 16, 16)
	return unit, err == nil && firstSurrogate <= unit && unit <= lastSurrogate
}

func isUTF16(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "utf-16") || strings.HasPrefix(name, "utf16")
}

// utf16Order is the order of the bytes in UTF-16 without a byte order mark. JSON begins
// with a character of ASCII, so that one of its first two bytes is 0.
func utf16Order(body []byte, name string) unicode.Endianness {
	switch {
	case len(body) > 1 && body[0] == 0 && body[1] != 0:
		return unicode.BigEndian
	case len(body) > 1 && body[0] != 0 && body[1] == 0:
		return unicode.LittleEndian
	case strings.HasSuffix(strings.ToLower(name), "le"):
		return unicode.LittleEndian
	}
	return unicode.BigEndian
}

// declaredCharset is the character set that a Content-Type declares; "" if it declares
// none. Servers send headers that break the rules of MIME; two different ones in such a
// header are no character set that exists.
func declaredCharset(contentType string) string {
	if _, parameters, err := mime.ParseMediaType(contentType); err == nil {
		return unquoted(parameters["charset"])
	}
	var found []string
	for _, parameter := range strings.FieldsFunc(contentType, func(r rune) bool { return r == ';' || r == ',' }) {
		key, value, _ := strings.Cut(parameter, "=")
		value = unquoted(value)
		if strings.EqualFold(strings.TrimSpace(key), "charset") && value != "" &&
			(len(found) == 0 || !strings.EqualFold(found[0], value)) {
			found = append(found, value)
		}
	}
	return strings.Join(found, " and ")
}

func unquoted(value string) string {
	return strings.TrimSpace(strings.Trim(strings.TrimSpace(value), `"'`))
}
