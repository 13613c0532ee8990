package helper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/batonhost/baton-host/host/internal/secret"
)

// Answer is the JSON object that a helper may write in place of the secret as it is.
type Answer struct {
	// Value is the secret.
	Value string `json:"value,omitempty"`
	// ExpiresAt is when the value ends; zero where that is not known.
	ExpiresAt time.Time `json:"expires-at,omitzero"`
	// IssuedAt is since when it is good; zero where that is not known.
	IssuedAt time.Time `json:"issued-at,omitzero"`
	// Version is the store's own word for this value.
	Version string `json:"version,omitempty"`
	// Error is why there is no value, in a sentence with no value in it.
	Error string `json:"error,omitempty"`
	// Away says that there may be one at another time.
	Away bool `json:"away,omitempty"`
}

// byteOrderMark is what some programs begin a UTF-8 text with.
const byteOrderMark = "\xef\xbb\xbf"

const (
	keyValue   = "value"
	keyExpires = "expires-at"
	keyIssued  = "issued-at"
	keyVersion = "version"
	keyError   = "error"
	keyAway    = "away"
)

// read returns what a helper has written. It is an answer where it is a JSON object with the
// key "value" or "error", and otherwise the secret as it is. The error says what is wrong
// with an answer, and has nothing of it.
func read(written []byte) (answer Answer, isAnswer bool, err error) {
	if !utf8.Valid(written) {
		return Answer{}, false, errors.New("the program wrote what is not UTF-8 text")
	}
	written = bytes.TrimPrefix(written, []byte(byteOrderMark))
	decoder := json.NewDecoder(bytes.NewReader(written))
	var keys map[string]json.RawMessage
	if decoder.Decode(&keys) != nil {
		keys = nil // It is the secret as it is.
	}
	if string(keys[keyError]) == "null" {
		delete(keys, keyError)
	}
	if keys[keyValue] == nil && keys[keyError] == nil {
		return Answer{}, false, nil
	}
	if rest := written[decoder.InputOffset():]; len(bytes.TrimSpace(rest)) > 0 {
		return Answer{}, false, errors.New("the program wrote a JSON object and more behind it; it must write one object, or the secret as it is")
	}
	if keys[keyError] != nil {
		if !text(keys, keyError, &answer.Error) || answer.Error == "" {
			answer.Error = "the program wrote a JSON object with an error that is no text"
		}
		away := keys[keyAway]
		answer.Away = away != nil && json.Unmarshal(away, &answer.Away) == nil && answer.Away
		return answer, true, nil
	}
	switch {
	case !text(keys, keyValue, &answer.Value):
		return Answer{}, false, errors.New(`the "value" of the program's JSON object is no text`)
	case strings.ContainsRune(answer.Value, utf8.RuneError):
		return Answer{}, false, errors.New(`the "value" of the program's JSON object has a character that is none`)
	case !text(keys, keyVersion, &answer.Version):
		return Answer{}, false, errors.New(`the "version" of the program's JSON object is no text`)
	}
	if answer.ExpiresAt, err = moment(keys, keyExpires); err != nil {
		return Answer{}, false, err
	}
	if answer.IssuedAt, err = moment(keys, keyIssued); err != nil {
		return Answer{}, false, err
	}
	return answer, true, nil
}

// moment reads the time of a key; zero where it is not there, null or empty.
func moment(keys map[string]json.RawMessage, key string) (at time.Time, err error) {
	var written string
	isText := text(keys, key, &written)
	if written != "" {
		at, err = time.Parse(time.RFC3339, written)
	}
	if !isText || err != nil {
		return time.Time{}, fmt.Errorf("the %q of the program's JSON object is no time as in 2030-01-31T12:00:00Z (RFC 3339)", key)
	}
	return at, nil
}

// text reads the text of a key into the place for it. A key that is not there, or null, is
// empty.
func text(keys map[string]json.RawMessage, key string, into *string) bool {
	raw := keys[key]
	return raw == nil || key != keyValue && string(raw) == "null" || string(raw) != "null" && json.Unmarshal(raw, into) == nil
}

// value returns the value of what a helper has written, without an error.
func (a Answer) value() (secret.Value, error) {
	text, err := secret.Plain(a.Value)
	if err != nil {
		return secret.Value{}, err
	}
	return secret.Value{Text: text, Version: a.Version, Issued: a.IssuedAt, Expires: a.ExpiresAt}, nil
}
