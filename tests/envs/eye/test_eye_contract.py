import numpy as np
import pytest

from ciliary.testing.environment import GymnasiumContract

QUICK = {"size_px": (64, 80), "width_deg": 10.0, "window_px": 32, "scenes": "synthetic", "photon_noise": False}


class EyeContract(GymnasiumContract):
    reset_option = "scene"

    def cost(self, env, steps):
        gaze = np.array([[step[2]["eye"][f"gaze_{axis}_deg"] for axis in "yx"] for step in steps])
        degrees = np.hypot(*np.diff(gaze, axis=0).T).sum()
        return super().cost(env, steps) + env.unwrapped.config.degree_cost * degrees


class TestFocus(EyeContract):
    env_id = "Ciliary/Focus-v0"
    settings = QUICK


class TestGaze(EyeContract):
    env_id = "Ciliary/Gaze-v0"
    settings = QUICK

    def test_actions_that_cannot_be_are_named(self, env):
        env.reset(seed=0)
        with pytest.raises(ValueError, match="gaze_y_deg, gaze_x_deg"):
            env.unwrapped.step(np.zeros(4, np.float32))
        with pytest.raises(ValueError, match="finite action"):
            env.unwrapped.step(np.full(2, np.nan, np.float32))


class TestEye(EyeContract):
    env_id = "Ciliary/Eye-v0"
    settings = QUICK | {"photon_noise": True}
    n_steps = 3

    def test_standing_still_converges(self):
        """With noise it does not: two looks differ. Without, it does."""
        TestFocus().test_standing_still_converges()


class TestFilms(EyeContract):
    env_id = "Ciliary/Eye-v0"
    settings = QUICK | {"scenes": "moving", "horizon": 4}
    n_steps = 3

    def test_standing_still_converges(self):
        """Before what moves it does not: what was seen grows stale. After its last frame a film stands still."""
        env = self.make(patience=2, frames_per_look=6)
        env.reset(seed=0)
        still = np.zeros(env.action_space.shape, np.float32)
        endings = [env.step(still)[2] for _ in range(7)]
        assert endings.index(True) >= 4
