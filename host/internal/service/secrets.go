package service

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
)

// secrets are the id and the secret of an upload, as they were resolved last.
type secrets struct {
	origin  *origin
	clients *Clients
	board   *status.Board
	log     *zap.Logger

	mu      sync.Mutex
	current *config.Upload
	wrong   settings.Problems // why the newest are not in use; none: they are
	worked  bool              // C1 has given a token for them
}

// newSecrets returns the secrets of an upload whose credentials are resolved.
func newSecrets(upload *config.Upload, from *origin, clients *Clients, board *status.Board, log *zap.Logger) *secrets {
	s := &secrets{origin: from, clients: clients, board: board, log: log, current: upload}
	s.show()
	return s
}

// unchanging returns the secrets of an upload that are not resolved again.
func unchanging(upload *config.Upload) *secrets {
	return &secrets{origin: &origin{upload: upload}, current: upload}
}

// mayRotate reports whether the credentials can be others another time.
func (s *secrets) mayRotate() bool {
	_, from := s.origin.get()
	return from != nil && s.upload().HasReferences()
}

// upload returns the upload with the newest credentials that are known.
func (s *secrets) upload() *config.Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// areNewest reports whether the credentials in use are those that the references resolved to
// last.
func (s *secrets) areNewest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.wrong) == 0
}

// haveWorked reports whether C1 has ever given a token for the credentials in use.
func (s *secrets) haveWorked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worked
}

// work takes in that C1 has given a token.
func (s *secrets) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worked = true
}

// resolve resolves the credentials again, and reports whether they are others. Where they
// cannot be resolved, or are of another tenant or upload, those known stay, and that is logged
// once.
func (s *secrets) resolve(ctx context.Context) (changed bool) {
	if !s.mayRotate() {
		return false
	}
	known := s.upload()
	written, from := s.origin.get()
	resolved, problems := written.Resolve(ctx, from.Round())
	if len(problems) == 0 && hostOf(resolved.ClientID) != hostOf(known.ClientID) {
		problems = settings.Problems{{Message: fmt.Sprintf("the client id is now of another tenant (%s, before %s), which takes a reload of the configuration, or a restart of the host",
			hostOf(resolved.ClientID), hostOf(known.ClientID))}}
	}
	if len(problems) == 0 {
		if other := s.clients.claim(known.Name, resolved.ClientID); other != "" {
			problems = settings.Problems{resolved.SharedWith(other)}
		}
	}
	if ctx.Err() != nil && len(problems) > 0 {
		return false // The caller has no more time: that says nothing of the store.
	}
	s.mu.Lock()
	before := s.wrong
	s.wrong = problems
	if len(problems) == 0 {
		changed = resolved.ClientID != known.ClientID || resolved.ClientSecret.Reveal() != known.ClientSecret.Reveal()
		s.current = resolved
	}
	s.mu.Unlock()
	s.show()
	switch {
	case changed:
		s.log.Info("the credentials for C1 have new values")
	case len(problems) > 0 && problems.Error() != before.Error():
		s.log.Warn("the newest credentials for C1 cannot be used; those known stay in use", zap.Error(problems))
	case len(problems) == 0 && len(before) > 0:
		s.log.Info("the credentials for C1 are in order again")
	}
	return changed
}

// show puts how the credentials are on the board.
func (s *secrets) show() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.board.Credentials("", s.current.Name, secret.WithProblems(secret.CredentialsOf(s.current.Resolved), s.wrong.ByReference()))
}

// hostOf returns the tenant's host of a client id, which has the form name@host/use.
func hostOf(clientID string) string {
	_, rest, _ := strings.Cut(clientID, "@")
	host, _, _ := strings.Cut(rest, "/")
	return host
}
