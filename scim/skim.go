package scim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// errTooLarge is the cause of the error for an answer that is too large to be read.
var errTooLarge = errors.New("answer too large")

// errMore means that something follows what should be all of an answer.
var errMore = errors.New("more than one value")

const (
	// maxSkimmed is how many bytes an answer may have that is read member by member, and
	// maxMembers is how many members the group may have then. passedOver is how many times as
	// long a list may be of which these are passed over.
	maxSkimmed = 512 << 20
	passedOver = 8
	maxMembers = 500_000
)

// skimmer reads JSON without the attribute of a name, which may be larger than all else: an
// answer that is too large to be kept whole.
type skimmer struct {
	// attribute is the name, in lower case.
	attribute string
	// value handles a value of the attribute, or an item where that is a list; nil passes
	// over it.
	value func(raw []byte) error
	// most is how many bytes the answer may have, mostKept how many of them are kept.
	most     int64
	mostKept int
	// found is how often the attribute occurs.
	found int

	decoder *jsontext.Decoder
	kept    bytes.Buffer
}

// skim returns what is read of JSON, but for the attribute.
func (s *skimmer) skim(from io.Reader) ([]byte, error) {
	limited := &io.LimitedReader{R: from, N: s.most + 1}
	s.decoder = jsontext.NewDecoder(limited, jsontext.AllowDuplicateNames(true))
	err := s.copy()
	if err == nil {
		switch _, err = s.decoder.ReadToken(); {
		case errors.Is(err, io.EOF):
			err = nil
		case err == nil:
			err = errMore
		}
	}
	if limited.N <= 0 || s.kept.Len() > s.mostKept {
		return nil, errTooLarge
	}
	return s.kept.Bytes(), err
}

// fitsSkimmer reports whether an answer, of which body is the beginning, is read as UTF-8.
func fitsSkimmer(body []byte, header http.Header) bool {
	end := len(body)
	for end > 0 && !utf8.RuneStart(body[end-1]) {
		end--
	}
	body = body[:max(0, end-1)]
	decoded, err := decodeText(body, header)
	return err == nil && bytes.HasSuffix(body, decoded)
}

// skimFailure is the error for an answer that could not be skimmed.
func (c *endpoint) skimFailure(ctx context.Context, r request, err error) error {
	var own *failure
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, errTooLarge):
		return c.tooLarge(r)
	case errors.Is(err, errMore), !errors.Is(err, io.ErrUnexpectedEOF) && errors.As(err, new(*jsontext.SyntacticError)):
		return c.malformed(nil, err)
	}
	return c.bodyFailure(ctx, err)
}

func (s *skimmer) copy() error {
	switch kind := s.decoder.PeekKind(); kind {
	case '{', '[':
		return s.copyAll(kind == '{')
	default:
		raw, err := s.decoder.ReadValue()
		s.kept.Write(raw)
		return err
	}
}

// copyAll copies an object or a list.
func (s *skimmer) copyAll(isObject bool) error {
	if err := s.copyDelimiter(); err != nil {
		return err
	}
	for first := true; s.decoder.PeekKind() != '}' && s.decoder.PeekKind() != ']'; {
		if s.kept.Len() > s.mostKept {
			return errTooLarge
		}
		var name []byte
		if isObject {
			raw, err := s.decoder.ReadValue()
			if err != nil {
				return err
			}
			if s.isAttribute(raw) {
				if err := s.hand(); err != nil {
					return err
				}
				continue
			}
			name = append(bytes.Clone(raw), ':')
		}
		if !first {
			s.kept.WriteByte(',')
		}
		first = false
		s.kept.Write(name)
		if err := s.copy(); err != nil {
			return err
		}
	}
	return s.copyDelimiter()
}

func (s *skimmer) copyDelimiter() error {
	token, err := s.decoder.ReadToken()
	if err == nil {
		s.kept.WriteString(token.String())
	}
	return err
}

// isAttribute reports whether a name is that of the attribute, in whatever case or with
// the URN of its schema before it.
func (s *skimmer) isAttribute(raw []byte) bool {
	name, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return false
	}
	last := string(name[bytes.LastIndexFunc(name, isSeparator)+1:])
	return strings.EqualFold(last, s.attribute)
}

// hand hands out the value of the attribute.
func (s *skimmer) hand() error {
	s.found++
	if s.value == nil {
		return s.decoder.SkipValue()
	}
	if s.decoder.PeekKind() != '[' {
		raw, err := s.decoder.ReadValue()
		if err == nil && string(raw) != "null" {
			err = s.value(raw)
		}
		return err
	}
	if _, err := s.decoder.ReadToken(); err != nil {
		return err
	}
	for s.decoder.PeekKind() != ']' {
		raw, err := s.decoder.ReadValue()
		if err != nil {
			return err
		}
		if err := s.value(raw); err != nil {
			return err
		}
	}
	_, err := s.decoder.ReadToken()
	return err
}
