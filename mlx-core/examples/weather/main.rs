//! The program that `docs/macros/tutorial.md` writes step by step.

use mlx_core::prelude::*;

/// Settings of a thermometer.
#[derive(PluginConfig)]
pub struct ThermometerConfig {
    /// Where it hangs.
    #[config(non_empty)]
    pub place: String,
    /// Degrees Celsius added to what it measures.
    #[config(default = 0.0, range(-5.0..=5.0))]
    pub correction: f64,
    /// Password of the service that it reports to.
    pub password: Option<Secret<String>>,
}

/// Measures one quantity.
#[mlx_core::contract(name = "sensor", capabilities = ["temperature", "humidity"])]
#[async_trait]
pub trait Sensor {
    /// The value measured now.
    async fn measure(&self) -> Result<f64>;
}

/// A thermometer on a warm day.
#[mlx_plugin(type = Sensor, capabilities = ["temperature"])]
pub struct Thermometer {
    config: ThermometerConfig,
}

#[async_trait]
impl Plugin for Thermometer {
    type Config = ThermometerConfig;
    async fn initialize(config: ThermometerConfig, _: &InitContext) -> Result<Self> {
        Ok(Thermometer { config })
    }
}

#[async_trait]
impl Sensor for Thermometer {
    async fn measure(&self) -> Result<f64> {
        Ok(24.5 + self.config.correction)
    }
}

mlx_core::component_config!("examples/weather/room-sensor.json");

/// Settings of a hygrometer.
#[derive(PluginConfig)]
pub struct HygrometerConfig {
    /// room, interval, scale, token.
    #[config(extends, default(interval = "5m"))]
    pub base: RoomSensor,
    /// Relative humidity, in percent, above which it warns.
    #[config(default = 65, range(1..=100))]
    pub limit: u8,
}

/// A hygrometer in a dry room.
#[mlx_plugin(type = Sensor, capabilities = ["humidity"])]
pub struct Hygrometer {
    config: HygrometerConfig,
}

#[async_trait]
impl Plugin for Hygrometer {
    type Config = HygrometerConfig;
    async fn initialize(config: HygrometerConfig, _: &InitContext) -> Result<Self> {
        assert_eq!(config.base.interval, Duration::from_secs(300));
        Ok(Hygrometer { config })
    }
}

#[async_trait]
impl Sensor for Hygrometer {
    async fn measure(&self) -> Result<f64> {
        Ok(f64::from(self.config.limit) / 2.0)
    }
}

fn main() -> Result<()> {
    mlx_core::block_on(run())
}

/// Starts the platform, asks both sensors, and stops it.
pub async fn run() -> Result<()> {
    let composition = Composition::from_yaml(include_str!("platform.yaml"))?;
    let platform = registry().activate(composition).await?;
    let thermometer = platform.get::<dyn Sensor>("thermometer")?;
    println!("{} °C", thermometer.measure().await?);
    let hygrometer = platform.get::<dyn Sensor>("hygrometer")?;
    println!("{} %", hygrometer.measure().await?);
    platform.shutdown().await
}
