// Package keyring resolves references to the keyring of the operating system,
// ${keyring:SERVICE/ACCOUNT}: the Secret Service of Linux, the keychain of macOS and the
// credential manager of Windows.
//
// The configuration calls it. It must never start a session bus, wait for a person longer
// than its caller waits, or put a value into an error.
package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/zalando/go-keyring"

	"github.com/batonhost/baton-host/host/internal/secret"
)

// mostAsking bounds the questions that the keyring leaves open: the library waits for an
// answer without end.
const mostAsking = 4

// New returns the store of the keyring.
func New() secret.Store { return store{asking: make(chan struct{}, mostAsking)} }

type store struct {
	asking chan struct{}
}

// Check reports what is wrong with the form of SERVICE/ACCOUNT.
func (store) Check(name string) error {
	_, _, err := split(name)
	return err
}

// split returns the service and the account: the last slash is between them.
func split(name string) (service, account string, err error) {
	at := strings.LastIndex(name, "/")
	if at < 1 || at == len(name)-1 {
		return "", "", errors.New("${keyring:SERVICE/ACCOUNT} takes the service and the account of an entry, with a / between them")
	}
	return name[:at], name[at+1:], nil
}

// answer is that of the keyring.
type answer struct {
	text string
	err  error
}

// Resolve returns the password of the entry.
func (s store) Resolve(ctx context.Context, name string) (secret.Value, error) {
	service, account, err := split(name)
	if err != nil {
		return secret.Value{}, err
	}
	if err := mayAsk(); err != nil {
		return secret.Value{}, &secret.AwayError{Err: err}
	}
	unanswered := &secret.AwayError{Err: errors.New("the keyring has not answered; it may be locked and wait for a person: unlock it")}
	select {
	case s.asking <- struct{}{}:
	case <-ctx.Done():
		return secret.Value{}, unanswered
	}
	answered := make(chan answer, 1)
	go func() {
		defer func() { <-s.asking }()
		answered <- ask(service, account)
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			return secret.Value{}, explain(a.err)
		}
		text, err := secret.Plain(a.text)
		return secret.Value{Text: text}, err
	case <-ctx.Done():
		return secret.Value{}, unanswered
	}
}

// ask asks the keyring. The library panics where its connection ends while it waits.
func ask(service, account string) (a answer) {
	defer func() {
		if recovered := recover(); recovered != nil {
			a = answer{err: errors.New("the connection to it has ended")}
		}
	}()
	a.text, a.err = keyring.Get(service, account)
	return a
}

// explain returns a sentence about an error of the library, none of which has a value.
func explain(err error) error {
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		return errors.New("the keyring has no entry of this service and account; add it for the user that the host runs as")
	case errors.Is(err, keyring.ErrUnsupportedPlatform):
		return errors.New("there is no keyring on this system")
	case strings.Contains(err.Error(), "failed to unlock"):
		return &secret.AwayError{Err: errors.New("the keyring is locked; unlock it for the user that the host runs as")}
	case strings.Contains(err.Error(), "was not provided by any .service files"):
		return &secret.AwayError{Err: errors.New("no keyring runs in this session (org.freedesktop.secrets); start one, such as gnome-keyring")}
	default:
		return &secret.AwayError{Err: &secret.ReportedError{Err: fmt.Errorf("the keyring cannot be asked: %w", err), Words: "the keyring cannot be asked"}}
	}
}
