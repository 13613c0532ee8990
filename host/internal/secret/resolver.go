package secret

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// MaxValue is the greatest value that a store other than a file may have, in bytes.
	MaxValue = 1 << 20
	// maxResolved bounds what all references of one round resolve to, in bytes: a small
	// configuration may name the same large file many times.
	maxResolved = 32 << 20
	// resolveTimeout is how long a store may take for one value.
	resolveTimeout = 20 * time.Second
	// closeTimeout is how long stores may take to end their logins.
	closeTimeout = 5 * time.Second
)

// Store is where the values of one scheme are kept. Its methods may be called
// concurrently.
type Store interface {
	// Check reports what is wrong with the form of a name, and does not repeat it. It
	// asks no store.
	Check(name string) error
	// Resolve returns what the name stands for now. The error is a sentence that has no
	// value in it; it is an [*AwayError] where the store may have the value at another time,
	// and has a [*ReportedError] where it repeats what a program or a server reports.
	Resolve(ctx context.Context, name string) (Value, error)
}

// LoginStore is a [Store] that logs in. Others can only be tried by the names that are in them.
type LoginStore interface {
	Store
	// Try logs in, unless it is logged in already, and reads no secret. The error is that of
	// Resolve.
	Try(ctx context.Context) error
	// Close ends the login, and what was lent to it. A store that cannot be reached is left
	// alone; what is resolved later logs in again.
	Close(ctx context.Context)
}

// Value is what a reference stands for at one moment.
type Value struct {
	Text Text
	// Version is the store's own word for this value; empty where it has none.
	Version string
	// Issued is since when the value is good, and Expires when it ends; zero where that is
	// not known.
	Issued, Expires time.Time
	// Read is when a [Round] has resolved it.
	Read time.Time
}

// Resolved is a reference with its value.
type Resolved struct {
	Reference Reference
	Value
}

// AwayError says that a store could not be asked: another time it may have the value.
type AwayError struct {
	Err error
}

// Error returns the cause.
func (e *AwayError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *AwayError) Unwrap() error { return e.Err }

// IsAway reports whether a store could not be asked.
func IsAway(err error) bool {
	_, away := errors.AsType[*AwayError](err)
	return away
}

// ReferenceError says that a reference has not been resolved, and names it.
type ReferenceError struct {
	Reference Reference
	Err       error
}

// Error returns a sentence that begins with the reference.
func (e *ReferenceError) Error() string { return e.Reference.String() + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ReferenceError) Unwrap() error { return e.Err }

// Public is the error without what a program or a server reports.
func (e *ReferenceError) Public() string { return e.Reference.String() + ": " + wordsOf(e.Err) }

// Resolver resolves the references of one configuration. It is kept for as long as the
// configuration is. No error that it returns has a value that it has returned, of whatever
// reference.
type Resolver struct {
	stores map[string]Store
	known  *known
}

// NewResolver returns a resolver with these stores, by scheme.
func NewResolver(stores map[string]Store) *Resolver {
	return &Resolver{stores: stores, known: &known{}}
}

// Follow has the resolver know the values that another one knows, or nil: those of the
// configuration before, which are still in use.
func (r *Resolver) Follow(before *Resolver) {
	if before != nil {
		r.known = before.known
	}
}

// Store returns the store of a scheme; nil if there is none, or no resolver.
func (r *Resolver) Store(scheme string) Store {
	if r == nil {
		return nil
	}
	return r.stores[scheme]
}

// Try tries the stores that log in, at the same time, and returns what came of each, by
// scheme.
func (r *Resolver) Try(ctx context.Context) map[string]error {
	outcomes := map[string]error{}
	var mu sync.Mutex
	var trying sync.WaitGroup
	for scheme, store := range r.stores {
		if store, ok := store.(LoginStore); ok {
			trying.Go(func() {
				err := r.known.hide(store.Try(r.known.asking(ctx)))
				mu.Lock()
				defer mu.Unlock()
				outcomes[scheme] = err
			})
		}
	}
	trying.Wait()
	return outcomes
}

// Close ends the logins of the stores that another resolver does not have; nil has none. It
// takes no longer than closeTimeout, and works after the context has ended.
func (r *Resolver) Close(ctx context.Context, kept *Resolver) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var closing sync.WaitGroup
	for scheme, store := range r.stores {
		if store, ok := store.(LoginStore); ok && kept.Store(scheme) != Store(store) {
			closing.Go(func() { store.Close(ctx) })
		}
	}
	closing.Wait()
}

// Check reports what is wrong with the references of a text, and resolves none.
func (r *Resolver) Check(template Template) []error {
	var errs []error
	for _, reference := range template.References() {
		if err := r.check(reference); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (r *Resolver) check(reference Reference) error {
	store, ok := r.stores[reference.Scheme]
	if !ok {
		return errUnknownScheme
	}
	return store.Check(reference.Name)
}

// Round begins a round: what is resolved in it comes from one moment, and each reference is
// resolved once.
func (r *Resolver) Round() *Round { return &Round{resolver: r, asked: map[Reference]*asked{}} }

// Round is one moment's values of references. Its methods may be called concurrently.
type Round struct {
	resolver *Resolver

	mu    sync.Mutex
	asked map[Reference]*asked
	spent int // bytes
}

type roundKey struct{}

// RoundOf returns the round in which a store is asked; nil outside of any. A store that reads
// several values at once keeps them together within one round.
func RoundOf(ctx context.Context) *Round {
	round, _ := ctx.Value(roundKey{}).(*Round)
	return round
}

// asked is a reference of a round.
type asked struct {
	mu    sync.Mutex // held while a store is asked
	done  bool
	value Value
	err   error
}

// Expansion is a text with its references resolved.
type Expansion struct {
	Text Text
	// Resolved are the references with their values, in the order of the text.
	Resolved []Resolved
}

// Expires is when the first of the values ends; zero where none does.
func (e Expansion) Expires() time.Time {
	var first time.Time
	for _, one := range e.Resolved {
		if !one.Expires.IsZero() && (first.IsZero() || one.Expires.Before(first)) {
			first = one.Expires
		}
	}
	return first
}

// Expand replaces the references of a text. What a reference resolves to is taken as it
// is. The errors are sentences that name references and never hold what one resolved to:
// a [*ReferenceError] where a store was asked.
func (r *Round) Expand(ctx context.Context, template Template) (Expansion, []error) {
	var expansion Expansion
	var errs []error
	var text strings.Builder
	for _, p := range template.parts {
		if !p.isReference() {
			text.WriteString(p.text.Reveal())
			continue
		}
		if err := r.resolver.check(p.reference); err != nil {
			errs = append(errs, err)
			continue
		}
		value, err := r.resolve(ctx, p.reference)
		if err == nil {
			err = r.spend(len(value.Text.Reveal()))
		}
		if err != nil {
			errs = append(errs, &ReferenceError{Reference: p.reference, Err: err})
			continue
		}
		text.WriteString(value.Text.Reveal())
		expansion.Resolved = append(expansion.Resolved, Resolved{Reference: p.reference, Value: value})
	}
	expansion.Text = New(text.String())
	return expansion, errs
}

func (r *Round) spend(bytes int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spent += bytes; r.spent > maxResolved {
		return fmt.Errorf("all references together resolve to more than %d MiB", maxResolved>>20)
	}
	return nil
}

func (r *Round) resolve(ctx context.Context, reference Reference) (Value, error) {
	r.mu.Lock()
	one := r.asked[reference]
	if one == nil {
		one = &asked{}
		r.asked[reference] = one
	}
	r.mu.Unlock()

	one.mu.Lock()
	defer one.mu.Unlock()
	if one.done {
		return one.value, one.err
	}
	known := r.resolver.known
	limited, cancel := context.WithTimeout(known.asking(context.WithValue(ctx, roundKey{}, r)), resolveTimeout)
	defer cancel()
	value, err := r.resolver.stores[reference.Scheme].Resolve(limited, reference.Name)
	switch {
	case ctx.Err() != nil:
		return Value{}, &AwayError{ctx.Err()} // Another caller may have more time.
	case err != nil && limited.Err() != nil:
		err = &AwayError{fmt.Errorf("the store did not answer within %s", resolveTimeout)}
	case err == nil && reference.Scheme != SchemeFile && len(value.Text.Reveal()) > MaxValue:
		err = fmt.Errorf("the value is larger than %d MiB", MaxValue>>20)
	case err == nil && value.Text.Reveal() == "":
		err = errors.New("the value is empty")
	}
	if err != nil {
		value, err = Value{}, known.hide(err)
	} else {
		known.remember(reference, value.Text)
		value.Read = time.Now()
		if value.Expires.IsZero() {
			value.Issued, value.Expires = lifeOf(value.Text.Reveal())
		}
	}
	one.done, one.value, one.err = true, value, err
	return value, err
}

// Earliest returns the earlier of two moments; a zero one counts as never.
func Earliest(one, other time.Time) time.Time {
	if one.IsZero() || other.IsZero() {
		return cmp.Or(one, other)
	}
	if other.Before(one) {
		return other
	}
	return one
}
