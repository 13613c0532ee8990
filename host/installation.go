package host

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/registry"
)

// installation is what is done for one plugin.
type installation struct {
	host    *Host
	plugin  *config.Plugin
	options InstallOptions
	store   *registry.Store
	locked  pin.Entry // the zero Entry: there is none
	// isSame says that the lock file has what the configuration asks for, and differs what it
	// has in its place.
	isSame  bool
	differs string

	now       pin.Entry
	installed []InstalledPlugin
}

// run installs for each platform. The lock file's entry is to be now.
func (i *installation) run(ctx context.Context) error {
	if err := i.compare(); err != nil {
		return err
	}
	source := fleet.SourceOf(i.plugin)
	i.now = pin.Entry{Version: source.Version, Connector: source.Connector(), Image: source.Image}
	if i.isSame {
		i.now = i.locked
	}
	for _, platform := range i.platforms() {
		if err := i.onePlatform(ctx, platform); err != nil {
			return err
		}
	}
	return nil
}

// isLocked reports whether the lock file has the plugin.
func (i *installation) isLocked() bool { return i.locked.Platforms != nil }

// compare holds the lock file against the configuration, before anything is fetched.
func (i *installation) compare() error {
	path := pin.PathFor(i.host.cfg.Path)
	if !i.isLocked() {
		if i.options.Locked {
			return fmt.Errorf("it is not in %s, and nothing is installed that is not locked; add it with: %s %s", path, installCommand(i.host.cfg.Path), i.plugin.Name)
		}
		return nil
	}
	i.differs = fleet.Differs(i.locked, i.plugin)
	i.isSame = i.differs == ""
	switch {
	case i.isSame:
		return nil
	case i.options.Locked:
		return fmt.Errorf("%s has %s, and the configuration %s, and nothing is installed that is not locked; accept that with: %s --upgrade %s",
			path, i.differs, fleet.SourceOf(i.plugin), installCommand(i.host.cfg.Path), i.plugin.Name)
	case !i.locked.IsInstalled():
		return nil // What was measured is of no release that could be newer.
	}
	return i.checkVersion(versionOf(i.plugin))
}

// versionOf returns the version that an entry asks for; of an image, its tag.
func versionOf(entry *config.Plugin) string {
	if entry.Image == "" {
		return entry.Version
	}
	reference, _, _ := strings.Cut(entry.Image, "@")
	_, tag, _ := strings.Cut(reference[strings.LastIndex(reference, "/")+1:], ":")
	return tag
}

// checkVersion refuses another version than the locked one, unless that is wanted. Which of
// two is older is known of versions such as v1.2.3.
func (i *installation) checkVersion(version string) error {
	source := fleet.SourceOf(i.plugin)
	path, command := pin.PathFor(i.host.cfg.Path), installCommand(i.host.cfg.Path)
	isKnown := semver.IsValid(version) && semver.IsValid(i.locked.Version) && i.locked.Connector == source.Connector()
	isOlder := isKnown && semver.Compare(version, i.locked.Version) < 0
	switch {
	case isOlder && !i.options.Downgrade:
		return fmt.Errorf("%s is older than %s, which %s has; if that is wanted, accept it with: %s --downgrade %s", version, i.locked.Version, path, command, i.plugin.Name)
	case isOlder, i.isSame, i.options.Upgrade, i.options.Downgrade && !isKnown:
		return nil
	}
	return fmt.Errorf("%s has %s, and the configuration %s; accept that with: %s --upgrade %s", path, i.differs, source, command, i.plugin.Name)
}

// platforms returns for which systems something is installed.
func (i *installation) platforms() []string {
	if len(i.options.Platforms) > 0 {
		return i.options.Platforms
	}
	platforms := []string{child.Platform}
	if i.options.Locked || i.options.From != "" || !i.locked.IsInstalled() {
		return platforms
	}
	for platform := range i.locked.Platforms {
		platforms = append(platforms, platform)
	}
	slices.Sort(platforms)
	return slices.Compact(platforms)
}

// onePlatform installs for one system.
func (i *installation) onePlatform(ctx context.Context, name string) error {
	platform, err := registry.ParsePlatform(name)
	if err != nil {
		return err
	}
	sums, isKnown := i.locked.Platforms[name]
	isKnown = isKnown && i.isSame
	if !isKnown && i.options.Locked {
		return fmt.Errorf("%s does not have it for %s, and nothing is installed that is not locked; add that with: %s --platform %s %s",
			pin.PathFor(i.host.cfg.Path), name, installCommand(i.host.cfg.Path), name, i.plugin.Name)
	}
	isUnproven := isKnown && fleet.IsUnproven(sums, i.plugin)
	if isUnproven && i.options.Locked {
		return fmt.Errorf("%s has it without provenance, and its entry has no provenance: none; accept it with provenance with: %s %s",
			pin.PathFor(i.host.cfg.Path), installCommand(i.host.cfg.Path), i.plugin.Name)
	}
	if isKnown {
		if err := fleet.Trusts(i.host.trust(&config.Plugin{}), i.locked.Connector, sums); err != nil && !i.options.Upgrade {
			return fmt.Errorf("%s has it: %w", pin.PathFor(i.host.cfg.Path), err)
		}
	}
	if isKnown && !i.options.Upgrade && i.options.From == "" && !isUnproven {
		if path, isThere := i.find(sums); isThere {
			i.add(name, sums, path, pin.Unchanged)
			return nil
		}
	}
	source := fleet.SourceOf(i.plugin)
	source.Archive = i.options.From
	if !i.options.Upgrade {
		source.Digest, source.Binary = i.digest(sums, isKnown), sums.Executable
	}
	installer := registry.Installer{Store: i.store, Trust: i.host.trust(i.plugin), Releases: i.host.cfg.PluginReleases}
	if i.options.Progress != nil {
		installer.Progress = func(event registry.Event) {
			i.options.Progress(InstallEvent{Plugin: i.plugin.Name, Platform: name, Step: string(event.Step), Done: event.Done, Total: event.Total})
		}
	}
	found, err := installer.Install(ctx, source, platform)
	if i.options.Progress != nil {
		i.options.Progress(InstallEvent{Plugin: i.plugin.Name, Platform: name})
	}
	if err != nil {
		return err
	}
	return i.take(name, sums, isKnown, found)
}

// digest returns what the source must be by the lock file; "" where it has nothing of it. An
// image is one for all platforms.
func (i *installation) digest(sums pin.Sums, isKnown bool) string {
	if isKnown {
		return sums.Origin.Digest()
	}
	if i.isSame && i.plugin.Image != "" {
		for _, other := range i.locked.Platforms {
			return other.Origin.Digest()
		}
	}
	return ""
}

// find returns the program that is locked, if it is in the store and whole.
func (i *installation) find(sums pin.Sums) (path string, isThere bool) {
	path, isThere = i.store.Find(i.locked.Connector, sums.Executable)
	if !isThere {
		return "", false
	}
	measured, err := pin.MeasureFile(path)
	return path, err == nil && measured == sums.Executable
}

// take has what was installed in the entry.
func (i *installation) take(platform string, before pin.Sums, isKnown bool, found registry.Installed) error {
	now := pin.Sums{Executable: found.Binary, Files: before.Files, Origin: pin.Origin{Signer: found.Signer, Repository: found.Repository, Commit: found.Commit}}
	if found.Image {
		now.Origin.Image = found.Digest
	} else {
		now.Origin.Archive = found.Digest
	}
	if found.Signer == "" {
		now.Origin.Provenance = pin.NoProvenance
	}
	change := "new"
	switch {
	case isKnown && !i.options.Upgrade && now.Executable != before.Executable && before.Origin.Digest() == found.Digest:
		// What it is unpacked from is the same, so this differs only where the lock file was
		// edited, or where what wrote it was deceived.
		return fmt.Errorf("the program in %s is %s, and %s says that it is %s; restore the lock file from version control, or accept that with: %s --upgrade %s",
			found.Digest, now.Executable, pin.PathFor(i.host.cfg.Path), before.Executable, installCommand(i.host.cfg.Path), i.plugin.Name)
	case isKnown && i.options.Locked:
		now, change = before, pin.Unchanged
	case isKnown && now.Executable == before.Executable && now.Origin == before.Origin:
		change = pin.Unchanged
	case isKnown:
		change = fmt.Sprintf("its digest was %s and is %s", before.Origin.Digest(), found.Digest)
		switch {
		case before.Origin.Digest() != found.Digest:
		case before.Executable != now.Executable:
			change = fmt.Sprintf("its program was %s and is %s", before.Executable, now.Executable)
		default:
			change = "its provenance is another one"
		}
	case i.differs != "":
		change = "in place of " + i.differs
	}
	if !i.options.Locked {
		if err := i.checkFound(found); err != nil {
			return err
		}
		if i.now.Version = cmp.Or(found.Version, i.now.Version); change != pin.Unchanged {
			i.dropOthers(found)
		}
		i.now = i.now.WithPlatform(platform, now)
	}
	i.add(platform, now, found.Path, change)
	return nil
}

// checkFound refuses an image that turns out to be of an older version than the locked one.
func (i *installation) checkFound(found registry.Installed) error {
	if i.plugin.Image == "" || !i.locked.IsInstalled() || i.locked.Image == "" {
		return nil
	}
	return i.checkVersion(found.Version)
}

// dropOthers drops what the entry has of an image that the tag no longer is: one lock entry is
// of one image.
func (i *installation) dropOthers(found registry.Installed) {
	if !found.Image {
		return
	}
	kept := map[string]pin.Sums{}
	for platform, sums := range i.now.Platforms {
		if sums.Origin.Image == found.Digest {
			kept[platform] = sums
		}
	}
	i.now.Platforms = kept
}

// add notes what is installed.
func (i *installation) add(platform string, sums pin.Sums, path, change string) {
	i.installed = append(i.installed, InstalledPlugin{
		Name: i.plugin.Name, Connector: i.now.Connector, Version: i.now.Version, Platform: platform, Change: change,
		Digest: sums.Origin.Digest(), Binary: sums.Executable,
		Signer: sums.Origin.Signer, Repository: sums.Origin.Repository, Commit: sums.Origin.Commit, Path: path,
	})
}
