package conformance

import (
	"context"
	"fmt"
)

// lines is what is remembered of what processes wrote.
type lines struct {
	count   int
	output  []string // the first ones
	secrets []string // the first ones
	outputs int
	leaks   int
}

// remembered is how many bad lines are kept to be shown.
const remembered = 3

// note takes a line that a process wrote.
func (s *Suite) note(line Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written.count++
	if line.Output {
		s.written.outputs++
		s.written.output = keep(s.written.output, line.Text)
	}
	if line.Secret {
		s.written.leaks++
		s.written.secrets = keep(s.written.secrets, line.Text)
	}
}

func keep(kept []string, text string) []string {
	if len(kept) < remembered {
		kept = append(kept, text)
	}
	return kept
}

func (s *Suite) wrote() lines {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

// noOutput looks at all that was written by now.
func noOutput(_ context.Context, s *Suite) (string, error) {
	wrote := s.wrote()
	if wrote.outputs > 0 {
		return "", fmt.Errorf("%d lines went to standard output, which carries the handshake and nothing else; log to standard error: %q", wrote.outputs, wrote.output)
	}
	return "there was the handshake and nothing else", nil
}

func noSecretLogged(_ context.Context, s *Suite) (string, error) {
	request, err := s.request()
	if err != nil {
		return "", err
	}
	if len(request.GetSecrets()) == 0 {
		return "", skip("the configuration of this test has no secret")
	}
	wrote := s.wrote()
	if wrote.leaks > 0 {
		return "", fmt.Errorf("%d of %d lines held the value of a secret field (plain, escaped, URL-encoded or in base64), which is blanked here: %q", wrote.leaks, wrote.count, wrote.secrets)
	}
	return fmt.Sprintf("none of %d lines held a secret, however written", wrote.count), nil
}
