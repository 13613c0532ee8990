package config

import (
	"time"

	"github.com/dustin/go-humanize"
	"go.yaml.in/yaml/v3"
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
		PageSize:      mostPageSize,
		ReadAhead:     1,
		MaxRows:       20_000_000,
		Restarts:      5,
		RestartWindow: 10 * time.Minute,
	}
}

// limitKeys are the keys of a plugin's entry that set its limits.
func (l *loader) limitKeys(limits *Limits) handlers {
	duration := func(key Key, into *time.Duration) func(entry) {
		return func(e entry) {
			if d, ok := l.duration(e.value, key); ok {
				*into = d
			}
		}
	}
	return handlers{
		KeyCallTimeout.Name:   duration(KeyCallTimeout, &limits.CallTimeout),
		KeyIdleTimeout.Name:   duration(KeyIdleTimeout, &limits.IdleTimeout),
		KeyHealthTimeout.Name: duration(KeyHealthTimeout, &limits.HealthTimeout),
		KeyRestartWindow.Name: duration(KeyRestartWindow, &limits.RestartWindow),
		KeyReadAhead.Name:     func(e entry) { l.whole(e.value, KeyReadAhead, &limits.ReadAhead) },
		KeyConcurrency.Name:   func(e entry) { l.whole(e.value, KeyConcurrency, &limits.Concurrency) },
		KeyMaxRows.Name:       func(e entry) { l.whole(e.value, KeyMaxRows, &limits.MaxRows) },
		KeyRestartLimit.Name:  func(e entry) { l.whole(e.value, KeyRestartLimit, &limits.Restarts) },
		KeyMemoryLimit.Name: func(e entry) {
			if size, ok := l.size(e.value, KeyMemoryLimit); ok {
				limits.Memory = size
			}
		},
		KeyMaxPageSize.Name: func(e entry) {
			if size, ok := l.size(e.value, KeyMaxPageSize); ok {
				limits.PageSize = int(size) //nolint:gosec // It is within limits.
			}
		},
	}
}

// size is a number of bytes within the key's limits.
func (l *loader) size(n *yaml.Node, key Key) (uint64, bool) {
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
