package config

import (
	"time"

	"github.com/dustin/go-humanize"
	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/keys"
)

// Limits are what one plugin may take, and how it is treated that takes more.
type Limits struct {
	// CallTimeout is how long a call to the plugin may take before it counts as
	// hanging.
	CallTimeout time.Duration
	// IdleTimeout is how long a listing may go on without a row.
	IdleTimeout time.Duration
	// HealthTimeout is how long the plugin may leave a health check unanswered.
	HealthTimeout time.Duration
	// Memory is how many bytes its processes may take; 0 is no limit.
	Memory uint64
	// PageSize is the size in bytes of the greatest page.
	PageSize int
	// ReadAhead is how many pages of its listings it is asked for before they are
	// needed.
	ReadAhead int
	// Concurrency is how many of its listings are read at the same time; 0 is what it
	// declares.
	Concurrency int
	// MaxRows is how many rows one of its listings may have.
	MaxRows int
	// Restarts is how often it is started again within RestartWindow.
	Restarts      int
	RestartWindow time.Duration
}

// DefaultLimits are the limits of a plugin whose entry does not say.
func DefaultLimits() Limits {
	return Limits{
		CallTimeout:   10 * time.Minute,
		IdleTimeout:   30 * time.Minute,
		HealthTimeout: 20 * time.Second,
		PageSize:      keys.MostPageSize,
		ReadAhead:     1,
		MaxRows:       20_000_000,
		Restarts:      5,
		RestartWindow: 10 * time.Minute,
	}
}

// limitKeys are the keys of a plugin's entry that set its limits.
func (l *loader) limitKeys(limits *Limits) handlers {
	duration := func(key keys.Key, into *time.Duration) func(entry) {
		return func(e entry) {
			if d, ok := l.duration(e.value, key); ok {
				*into = d
			}
		}
	}
	return handlers{
		keys.CallTimeout.Name:   duration(keys.CallTimeout, &limits.CallTimeout),
		keys.IdleTimeout.Name:   duration(keys.IdleTimeout, &limits.IdleTimeout),
		keys.HealthTimeout.Name: duration(keys.HealthTimeout, &limits.HealthTimeout),
		keys.RestartWindow.Name: duration(keys.RestartWindow, &limits.RestartWindow),
		keys.ReadAhead.Name:     func(e entry) { l.whole(e.value, keys.ReadAhead, &limits.ReadAhead) },
		keys.Concurrency.Name:   func(e entry) { l.whole(e.value, keys.Concurrency, &limits.Concurrency) },
		keys.MaxRows.Name:       func(e entry) { l.whole(e.value, keys.MaxRows, &limits.MaxRows) },
		keys.RestartLimit.Name:  func(e entry) { l.whole(e.value, keys.RestartLimit, &limits.Restarts) },
		keys.MemoryLimit.Name: func(e entry) {
			if size, ok := l.size(e.value, keys.MemoryLimit); ok {
				limits.Memory = size
			}
		},
		keys.MaxPageSize.Name: func(e entry) {
			if size, ok := l.size(e.value, keys.MaxPageSize); ok {
				limits.PageSize = int(size) //nolint:gosec // It is within limits.
			}
		},
	}
}

// size is a number of bytes within the key's limits.
func (l *loader) size(n *yaml.Node, key keys.Key) (uint64, bool) {
	text, ok := l.plainText(n, key.Name)
	if !ok {
		return 0, false
	}
	least, most := uint64(key.Least), uint64(key.Most) //nolint:gosec // No limit is negative.
	size, err := humanize.ParseBytes(text)
	if err != nil || size < least || size > most {
		l.report(n, "%s must be a size with its unit, such as %s, at least %s and at most %s", key.Name, key.Example, humanize.IBytes(least), humanize.IBytes(most))
		return 0, false
	}
	return size, true
}
