"""Ciliary in napari: a panel with the sliders of a perceiver, its percept as layers, and accommodation.

``add_to_viewer(viewer)`` opens it from Python; napari finds it by itself under *Plugins* (``napari.yaml``). Imports
neither napari nor Qt nor torch until it is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ciliary.cortex.installing import install_extra

if TYPE_CHECKING:
    from ciliary.tuning.napari_plugin.widget import AccommodateWidget

TITLE = "Ciliary: accommodate"


def add_to_viewer(viewer: Any = None, **asked: Any) -> AccommodateWidget:
    """Open the panel in a viewer, at its right.

    Args:
        viewer: a ``napari.Viewer``; None: the one in front.
        **asked: of :class:`~ciliary.tuning.napari_plugin.asked.Asked`, such as ``perceiver=segment`` (a function of
            one's own, also one of a notebook), ``perceiver="slic"``, ``size_px=256``.

    Returns:
        The panel: ``state`` is what it is at, ``values`` its parameters, ``accommodate()`` the button.

    Raises:
        ImportError: napari is not installed.
        ValueError: there is no viewer, or nobody could see with what was asked.
    """
    try:
        import napari
    except ImportError as error:
        words = f"the panel is one of napari's, which is not installed: {install_extra('napari')}"
        raise ImportError(words) from error
    from ciliary.tuning.napari_plugin.asked import Asked
    from ciliary.tuning.napari_plugin.widget import AccommodateWidget

    viewer = napari.current_viewer() if viewer is None else viewer
    if viewer is None:
        raise ValueError("there is no viewer to open the panel in; give one, as in add_to_viewer(napari.Viewer())")
    panel = AccommodateWidget(viewer, Asked(**asked))
    viewer.window.add_dock_widget(panel, name=TITLE, area="right")
    return panel
