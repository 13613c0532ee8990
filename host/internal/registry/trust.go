package registry

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"

	"github.com/batonhost/baton-host/host/internal/files"
)

// Trust is the policy by which a connector is believed.
//
// All of it must hold at once for what is installed: the signature is in the transparency log,
// its certificate was issued for Issuer and a workflow that matches Workflow, and it was built
// from the source repository that was asked for, which one of Repositories allows.
type Trust struct {
	// Issuer is who vouched for the workflow that signed: an exact URL.
	Issuer string
	// Workflow is the identity of the workflow. A * stands for any characters.
	Workflow string
	// Repositories are the source repositories that may be built from, each a URL. A * stands
	// for the name of the connector that is asked for, such as baton-github.
	Repositories []string
	// Root is the path of a Sigstore trusted root (trusted_root.json). Empty: that of the
	// public good instance, which is fetched and kept as Sigstore's clients do, in
	// ~/.sigstore/root.
	Root string
	// Unproven takes connectors without a signature: `provenance: none`. What is left is
	// that they arrived as they were published.
	Unproven bool
}

// DefaultTrust returns the policy for what ConductorOne publishes: its shared workflow for
// releases, building from its own repository of that connector, and nothing else.
func DefaultTrust() Trust {
	return Trust{
		Issuer:       "https://token.actions.githubusercontent.com",
		Workflow:     "https://github.com/ConductorOne/github-workflows/.github/workflows/release.yaml@*",
		Repositories: []string{"https://github.com/ConductorOne/*"},
	}
}

// Check reports what is wrong with the policy. It does not read the trusted root.
func (t Trust) Check() error {
	if t.Unproven {
		return nil
	}
	if !isHTTPS(t.Issuer) {
		return fmt.Errorf("the issuer %q is not a URL with https, such as %s", t.Issuer, DefaultTrust().Issuer)
	}
	if !isHTTPS(t.Workflow) {
		return fmt.Errorf("the workflow %q is not a URL with https and the name of a host, such as %s", t.Workflow, DefaultTrust().Workflow)
	}
	if len(t.Repositories) == 0 {
		return errors.New("no source repository is trusted; name one, such as " + DefaultTrust().Repositories[0])
	}
	for _, repository := range t.Repositories {
		if before, _, hasStar := strings.Cut(repository, "*"); !isHTTPS(repository) || hasStar && before+"*" != repository {
			return fmt.Errorf("the source repository %q is not a URL with https, with a * for the connector's name at its end or without one, such as %s", repository, DefaultTrust().Repositories[0])
		}
	}
	return nil
}

// Allows reports why what was signed by a workflow and built from a repository is not trusted
// as a connector, or nil. It is for what was verified before, and is known by its sum: the
// policy may have changed since.
func (t Trust) Allows(connector, signer, repository string) error {
	switch {
	case t.Unproven:
		return nil
	case !t.workflow().MatchString(signer):
		return t.refuseSigner(signer)
	case !slices.Contains(t.repositories(connector), repository):
		return t.refuseRepository(connector, repository)
	}
	return nil
}

func (t Trust) refuseSigner(signer string) error {
	return fmt.Errorf("it was signed by %s, and only %s is trusted; if it is to be trusted, name it under trust", quote(signer), t.Workflow)
}

func (t Trust) refuseRepository(connector, repository string) error {
	return fmt.Errorf("it was built from %s, and %s is built from %s; it is another connector, or a copy of its repository",
		quote(repository), connector, strings.Join(t.repositories(connector), " or "))
}

// repositories are the source repositories that a connector may be built from.
func (t Trust) repositories(connector string) []string {
	var all []string
	for _, pattern := range t.Repositories {
		all = append(all, strings.ReplaceAll(pattern, "*", connector))
	}
	return all
}

// isHTTPS reports whether a pattern is of URLs with https, all of one host.
func isHTTPS(pattern string) bool {
	rest, isHTTPS := strings.CutPrefix(pattern, "https://")
	host, _, _ := strings.Cut(rest, "/")
	return isHTTPS && host != "" && !strings.Contains(host, "*")
}

// workflow returns the pattern of the workflow.
func (t Trust) workflow() *regexp.Regexp {
	parts := strings.Split(t.Workflow, "*")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile(`\A` + strings.Join(parts, `.*`) + `\z`)
}

// maxRoot is the greatest size of a trusted root.
const maxRoot = 4 << 20

// material reads the trusted root, or has Sigstore's: what is kept of it serves while it is
// valid, should its server be away.
func (t Trust) material(ctx context.Context) (root.TrustedMaterial, error) {
	if t.Root != "" {
		content, err := files.ReadRegular(t.Root, maxRoot)
		if err != nil {
			return nil, fmt.Errorf("the trusted root %s: %w", t.Root, err)
		}
		material, err := root.NewTrustedRootFromJSON(content)
		if err != nil {
			return nil, fmt.Errorf("the trusted root %s cannot be used: %s; it must be a trusted_root.json of Sigstore", t.Root, plain(err))
		}
		return material, nil
	}
	type outcome struct {
		material root.TrustedMaterial
		err      error
	}
	// The client takes no context: it may stay behind until its own time limit is over.
	done := make(chan outcome, 1)
	go func() {
		material, err := publicGood()
		done <- outcome{material, err}
	}()
	select {
	case had := <-done:
		return had.material, had.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// publicGood has the trusted root of Sigstore's public good instance, by the keys that came
// with this program. It is fetched once a day at most.
func publicGood() (root.TrustedMaterial, error) {
	options := tuf.DefaultOptions().WithCacheValidity(1)
	material, err := root.FetchTrustedRootWithOptions(options)
	if err == nil {
		return material, nil
	}
	if kept, keptErr := root.FetchTrustedRootWithOptions(tuf.DefaultOptions().WithForceCache()); keptErr == nil {
		return kept, nil
	}
	return nil, fmt.Errorf("the trusted root of Sigstore is neither kept in %s nor can it be fetched: %s; let this machine reach %s once, or name a trusted_root.json under trust",
		options.CachePath, plain(err), options.RepositoryBaseURL)
}
