package secret

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/batonhost/baton-host/plugin/redact"
)

const (
	// mostKnown bounds how many values of a reference are remembered, the newest first: one that
	// is rotated may still be valid, or in use where the newer ones do not work.
	mostKnown = 32
	// maxKnown bounds their size together, in bytes. The newest is remembered whatever its size.
	maxKnown = 2 * MaxFile
)

// ReportedError is an error with what a program or a server reports in it, which is for the
// log and not for where there is no login.
type ReportedError struct {
	// Err has the report.
	Err error
	// Words are the error without it, in the host's own words.
	Words string
}

// Error returns the sentence with the report.
func (e *ReportedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ReportedError) Unwrap() error { return e.Err }

// Public is the error without the report.
func (e *ReportedError) Public() string { return e.Words }

// wordsOf returns an error of a store in the host's own words.
func wordsOf(err error) string {
	if reported, ok := errors.AsType[*ReportedError](err); ok {
		return reported.Words
	}
	return err.Error()
}

// known are the values that a resolver has returned, in use and retired ones.
type known struct {
	mu     sync.Mutex
	values map[Reference][]Text // the newest first
}

func (k *known) remember(reference Reference, value Text) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.values == nil {
		k.values = map[Reference][]Text{}
	}
	newest, size := []Text{value}, len(value.Reveal())
	for _, one := range k.values[reference] {
		if one.Reveal() == value.Reveal() {
			continue
		}
		if size += len(one.Reveal()); len(newest) == mostKnown || size > maxKnown {
			break
		}
		newest = append(newest, one)
	}
	k.values[reference] = newest
}

// redactor blanks the values, and other texts.
func (k *known) redactor(others []string) *redact.Redactor {
	k.mu.Lock()
	defer k.mu.Unlock()
	texts := slices.Clone(others)
	for _, values := range k.values {
		for _, one := range values {
			texts = append(texts, one.Reveal())
		}
	}
	return redact.Of(texts...)
}

// hide returns an error of a store without the values.
func (k *known) hide(err error) error {
	if err == nil {
		return nil
	}
	redactor := k.redactor(nil)
	text, words := redactor.Blank(err.Error()), redactor.Blank(wordsOf(err))
	if text == err.Error() && words == wordsOf(err) {
		return err
	}
	// What it wraps has the values.
	var hidden error = &ReportedError{Err: errors.New(text), Words: words}
	if IsAway(err) {
		hidden = &AwayError{hidden}
	}
	return hidden
}

type knownKey struct{}

// asking returns the context in which a resolver asks its stores.
func (k *known) asking(ctx context.Context) context.Context {
	return context.WithValue(ctx, knownKey{}, k)
}

// Blank returns what a program or a server reports without these texts and without the values
// that are known to the resolver that asks: a store calls it before it cuts the report, of which
// a value could be left in part. The end of what it gets may have been cut off already.
func Blank(ctx context.Context, report string, hidden ...string) string {
	k, _ := ctx.Value(knownKey{}).(*known)
	if k == nil {
		k = &known{}
	}
	return k.redactor(hidden).BlankBeginning(report)
}
