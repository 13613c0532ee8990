package supervise

import (
	"context"

	"github.com/batonhost/baton-host/plugin"
)

// wholeCapacity is the weight of all listings that a plugin serves at the same time. It
// is more than the square of plugin.MaxConcurrency, so that a part of it, rounded down,
// fits exactly as often as it should.
const wholeCapacity = 1 << 20

// BeginListing waits until another listing of the plugin may begin, in the order of the
// calls, and returns what ends it; end must be called once. All syncs of the plugin
// count towards one limit: a connector may bind the pages of a listing to a cursor or a
// connection of the app that the next listing takes over. The limit is the operator's,
// else the one that the plugin declares, else one listing at a time, which is what the
// SDK does stand-alone. It returns the context's error if that ends first.
func (p *Plugin) BeginListing(ctx context.Context) (end func(), err error) {
	weight := int64(wholeCapacity / p.concurrency())
	if err := p.listings.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { p.listings.Release(weight) }, nil
}

// concurrency is how many listings are read at the same time.
func (p *Plugin) concurrency() int {
	declared := p.settings.Concurrency
	if declared == 0 {
		declared = int(p.Manifest().GetListingConcurrency())
	}
	return min(max(declared, 1), plugin.MaxConcurrency)
}
