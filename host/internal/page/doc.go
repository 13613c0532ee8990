// Package page decodes a plugin's pages of resources no further than a host looks
// into them: profiles stay as they came, in the form in which the sync file holds
// them. The aggregate has its listings of resources decoded by [Codec].
//
// It must never change what a page says, and never let through what the ordinary
// decoder refuses.
package page
