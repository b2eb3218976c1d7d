"""The embedded world: the renderer of parametric cars, the classes of toycars, and the world they are not part of."""
