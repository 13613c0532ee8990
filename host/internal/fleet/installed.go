package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/registry"
)

// SourceOf returns where the connector of an entry with a version or an image is from.
func SourceOf(entry *config.Plugin) registry.Source {
	return registry.Source{App: entry.App, Version: entry.Version, Image: entry.Image}
}

// Differs returns how what is locked differs from what an entry with a version or an image
// asks for; "" if it does not. What was locked is otherwise as good as another release.
func Differs(locked pin.Entry, entry *config.Plugin) string {
	source := SourceOf(entry)
	switch {
	case !locked.IsInstalled():
		return "a program that was not installed"
	case locked.Connector != source.Connector(), locked.Image != source.Image, source.Image == "" && locked.Version != source.Version:
		return locked.Source()
	}
	return ""
}

// IsUnproven reports whether something was installed without the provenance that its entry
// demands.
func IsUnproven(locked pin.Sums, entry *config.Plugin) bool {
	return locked.Origin.Signer == "" && entry.Provenance != config.WithoutProvenance
}

// Trusts reports why what is locked is not trusted any more, or nil: the policy may have
// changed since it was installed, or the lock file.
func Trusts(trust registry.Trust, connector string, locked pin.Sums) error {
	if locked.Origin.Signer == "" {
		return nil // It has no provenance; see [IsUnproven].
	}
	return trust.Allows(connector, locked.Origin.Signer, locked.Origin.Repository)
}

// locate finds the program of a plugin that is installed, as the lock file has it.
func (l *Lock) locate(p *Plugin, file *pin.File) error {
	source := SourceOf(p.Plugin)
	path := pin.PathFor(l.ConfigFile)
	entry, isLocked := file.Plugins[p.Name]
	if !isLocked {
		return fmt.Errorf("plugin %q is not in %s, so %s is not started; install it with: %s %s", p.Name, path, source, l.Install, p.Name)
	}
	if locked := Differs(entry, p.Plugin); locked != "" {
		how := " --upgrade"
		if !entry.IsInstalled() {
			how = ""
		}
		return fmt.Errorf("plugin %q is not started: %s has %s, and the configuration %s; install that with: %s%s %s", p.Name, path, locked, source, l.Install, how, p.Name)
	}
	sums, ok := entry.Platforms[child.Platform]
	switch {
	case !ok:
		return fmt.Errorf("plugin %q is locked in %s for %s only, not for %s; install it with: %s %s",
			p.Name, path, strings.Join(slices.Sorted(maps.Keys(entry.Platforms)), ", "), child.Platform, l.Install, p.Name)
	case IsUnproven(sums, p.Plugin):
		return fmt.Errorf("plugin %q is not started: %s was installed without provenance, and its entry has no provenance: none; install one with provenance with: %s %s", p.Name, source, l.Install, p.Name)
	}
	if err := Trusts(l.Trust, entry.Connector, sums); err != nil {
		return fmt.Errorf("plugin %q is not started: %s is in %s: %w", p.Name, source, path, err)
	}
	program, isInstalled := l.Store.Find(entry.Connector, sums.Executable)
	if !isInstalled {
		return fmt.Errorf("plugin %q: %s is locked and not installed here; install it with: %s --locked %s", p.Name, source, l.Install, p.Name)
	}
	p.program = program
	return nil
}
