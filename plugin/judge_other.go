//go:build !unix

package plugin

import "context"

// returned is not used here.
const returned = 0

// Here nothing is judged: what the SDK returns holds.

func beingJudged() bool { return true }

func judge(context.Context, string) {}
