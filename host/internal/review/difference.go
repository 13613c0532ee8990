package review

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// Sync is a sync that the change guard looks at.
type Sync struct {
	Upload string
	// Before is the baseline that it is compared with.
	Before *baseline.Baseline
	// After is its sync file, open, and Path where that is; nil and "" if nothing was
	// read: everything that the baseline has of the plugins goes.
	After *syncfile.File
	Path  string
	// Owner returns the plugin of a resource type. Types of none are left out.
	Owner func(typeID string) string
}

// Difference is all that a sync would change, as numbers and keys.
type Difference struct {
	sync   Sync
	counts counts
	types  map[string]string   // the plugins of the resource types
	keys   map[string][]digest // what would be taken away of these plugins, sorted
}

// Compare returns what a sync would change. What it would take away of these plugins can be
// compared with an approval, and kept to be approved.
func Compare(ctx context.Context, sync Sync, plugins []string) (*Difference, error) {
	d := &Difference{sync: sync, counts: counts{}, types: map[string]string{}, keys: map[string][]digest{}}
	for _, plugin := range plugins {
		d.keys[plugin] = nil
	}
	owner := func(typeID string) string {
		plugin, ok := d.types[typeID]
		if !ok {
			plugin = sync.Owner(typeID)
			d.types[typeID] = plugin
		}
		return plugin
	}
	c := &comparison{before: sync.Before.File, after: sync.After, owner: owner, each: func(change Change) error {
		d.counts.add(change)
		if keys, wanted := d.keys[change.Plugin]; wanted && change.TakesAway() {
			d.keys[change.Plugin] = append(keys, digestOf(change.Key()))
		}
		return nil
	}}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	for plugin, keys := range d.keys {
		d.keys[plugin] = sortDigests(keys)
	}
	return d, nil
}

// Counts are how many changes there are, by plugin and resource type.
func (d *Difference) Counts() []Count { return d.counts.all() }

// Of is how many changes there are of a plugin, of all its resource types.
func (d *Difference) Of(plugin string) Count { return Sum(d.Counts(), plugin) }

// Sum is how many changes there are of a plugin, of all its resource types.
func Sum(counts []Count, plugin string) Count {
	sum := Count{Plugin: plugin}
	for _, one := range counts {
		if one.Plugin != plugin {
			continue
		}
		sum.Removed += one.Removed
		sum.Disabled += one.Disabled
		sum.Emptied += one.Emptied
		sum.Withdrawn += one.Withdrawn
		sum.Ungranted += one.Ungranted
		sum.Added += one.Added
	}
	return sum
}

// String is what goes and comes, in words.
func (c Count) String() string {
	return fmt.Sprintf("%d removed, %d disabled, %d emptied, %d withdrawn, %d ungranted, %d added",
		c.Removed, c.Disabled, c.Emptied, c.Withdrawn, c.Ungranted, c.Added)
}

// only leaves the keys of these plugins.
func (d *Difference) only(plugins []string) {
	maps.DeleteFunc(d.keys, func(plugin string, _ []digest) bool { return !slices.Contains(plugins, plugin) })
}

// sections are the plugins whose keys are known, in the order of their names.
func (d *Difference) sections() []section {
	sections := []section{}
	for _, plugin := range slices.Sorted(maps.Keys(d.keys)) {
		sections = append(sections, section{plugin, len(d.keys[plugin])})
	}
	return sections
}

// bases are what the plugins were compared with.
func (d *Difference) bases() map[string]string {
	bases := map[string]string{}
	for plugin := range d.keys {
		bases[plugin] = basisOf(d.sync.Before.Sync, d.sync.Before.Sum, plugin)
	}
	return bases
}

// basisOf names a plugin's part of a baseline: by when its app was last read completely,
// as the part is copied into every later baseline until it is read again; where that is not
// known, by the file.
func basisOf(known baseline.Sync, sum, plugin string) string {
	if asOf := known.Plugins[plugin].AsOf; !asOf.IsZero() {
		return asOf.UTC().Format("2006-01-02T15:04:05.999999999Z")
	}
	return sum
}

// id names what would be taken away, and from what: the same difference has the same id.
func (d *Difference) id() string {
	hash := sha256.New() // It takes everything.
	bases := d.bases()
	for _, one := range d.sections() {
		_, _ = fmt.Fprintf(hash, "%q %q %d\n", one.Plugin, bases[one.Plugin], one.Keys)
		_ = writeDigests(hash, d.keys[one.Plugin])
	}
	return hex.EncodeToString(hash.Sum(nil))[:idLength]
}

// idLength is how long an id is, in hexadecimal digits.
const idLength = 8
