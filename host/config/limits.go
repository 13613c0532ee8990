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
	// Restarts is how often it is started again within RestartWindow.
	Restarts      int
	RestartWindow time.Duration
}

const (
	mebibyte        = 1 << 20
	leastMemory     = 16 * mebibyte
	mostMemory      = mebibyte * mebibyte // 1 TiB
	leastPageSize   = 64 << 10
	mostPageSize    = 32 * mebibyte // what the wire between host and plugin carries
	mostRestarts    = 1000
	mostCallTimeout = time.Hour
)

// DefaultLimits are the limits of a plugin whose entry does not say.
func DefaultLimits() Limits {
	return Limits{
		CallTimeout:   10 * time.Minute,
		IdleTimeout:   30 * time.Minute,
		HealthTimeout: 20 * time.Second,
		PageSize:      mostPageSize,
		Restarts:      5,
		RestartWindow: 10 * time.Minute,
	}
}

// limitKeys are the keys of a plugin's entry that set its limits.
func (l *loader) limitKeys(limits *Limits) handlers {
	duration := func(what string, least, most time.Duration, example string, into *time.Duration) func(entry) {
		return func(e entry) {
			if d, ok := l.duration(e.value, what, least, most, example); ok {
				*into = d
			}
		}
	}
	return handlers{
		"call-timeout":   duration("call-timeout", time.Second, mostCallTimeout, "10m", &limits.CallTimeout),
		"idle-timeout":   duration("idle-timeout", time.Second, 24*time.Hour, "30m", &limits.IdleTimeout),
		"health-timeout": duration("health-timeout", 100*time.Millisecond, 10*time.Minute, "20s", &limits.HealthTimeout),
		"restart-window": duration("restart-window", time.Second, 24*time.Hour, "10m", &limits.RestartWindow),
		"restart-limit":  func(e entry) { l.whole(e.value, "restart-limit", 0, mostRestarts, &limits.Restarts) },
		"memory-limit": func(e entry) {
			if size, ok := l.size(e.value, "memory-limit", leastMemory, mostMemory, "512MiB"); ok {
				limits.Memory = size
			}
		},
		"max-page-size": func(e entry) {
			if size, ok := l.size(e.value, "max-page-size", leastPageSize, mostPageSize, "8MiB"); ok {
				limits.PageSize = int(size) //nolint:gosec // It is within limits.
			}
		},
	}
}

// size is a number of bytes within limits.
func (l *loader) size(n *yaml.Node, what string, least, most uint64, example string) (uint64, bool) {
	text, ok := l.plainText(n, what)
	if !ok {
		return 0, false
	}
	size, err := humanize.ParseBytes(text)
	if err != nil || size < least || size > most {
		l.report(n, "%s must be a size with its unit, such as %s, at least %s and at most %s", what, example, humanize.IBytes(least), humanize.IBytes(most))
		return 0, false
	}
	return size, true
}
