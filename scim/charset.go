package scim

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
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
	// As browsers do, ISO-8859-1 is read as its superset windows-1252, which is what
	// most servers mean by it.
	known, err := htmlindex.Get(name)
	if err != nil || known == encoding.Replacement {
		known, err = ianaindex.MIME.Encoding(name)
	}
	switch {
	case err != nil || known == nil:
		return nil, unknownCharsetError(name)
	case known == unicode.UTF8:
		return validUTF8(body, utf8Name)
	}
	return decodeWith(known, name, body)
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
